"""Version folders: numbered, whole, never overwritten."""

import pytest
import tensorflow as tf

from tfssvae.checks import InputError
from tfssvae.serving.versions import write_version


def write(text="model"):
    return lambda folder: (folder / "saved_model.pb").write_text(text)


def read(path):
    return (path / "saved_model.pb").read_text()


def visible(directory):
    return sorted(entry.name for entry in directory.iterdir())


def test_versions_count_from_one_and_go_on_from_the_highest(tmp_path):
    directory = tmp_path / "below" / "model"
    assert write_version(directory, None, write()) == directory / "1"
    assert write_version(directory, None, write()) == directory / "2"
    assert write_version(directory, 9, write()) == directory / "9"
    assert write_version(directory, None, write()) == directory / "10"
    assert write_version(directory, 4, write()) == directory / "4"
    assert visible(directory) == ["1", "10", "2", "4", "9"]


def test_entries_that_are_not_versions_do_not_count(tmp_path):
    (tmp_path / ".partial-of-a-killed-export").mkdir()
    (tmp_path / "models.config").write_text("")
    (tmp_path / "-5").mkdir()
    assert write_version(tmp_path, None, write()) == tmp_path / "1"


@pytest.mark.parametrize("name", ["3", "03"])
def test_an_existing_version_is_refused_before_any_work(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=r"version 3 exists .* leave version out for 4"):
        write_version(tmp_path, 3, lambda folder: pytest.fail("wrote although refused"))
    assert visible(tmp_path) == [name]


def test_nothing_with_a_version_s_name_is_seen_while_writing(tmp_path):
    seen = []

    def look(folder):
        write()(folder)
        seen.extend(visible(tmp_path))

    write_version(tmp_path, None, look)
    assert len(seen) == 1
    assert seen[0].startswith(".partial-")
    assert visible(tmp_path) == ["1"]


def test_a_failed_write_leaves_nothing(tmp_path):
    def fail(folder):
        write()(folder)
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_version(tmp_path, None, fail)
    assert visible(tmp_path) == []


def test_another_process_that_was_faster_keeps_its_version(tmp_path):
    def overtaken(folder):
        write("slow")(folder)
        write_version(tmp_path, None, write("fast"))

    assert write_version(tmp_path, None, overtaken) == tmp_path / "2"
    assert (read(tmp_path / "1"), read(tmp_path / "2")) == ("fast", "slow")

    def overtaken_on_5(folder):
        write("slow")(folder)
        write_version(tmp_path, 5, write("fast"))

    with pytest.raises(InputError, match="version 5 exists"):
        write_version(tmp_path, 5, overtaken_on_5)
    assert read(tmp_path / "5") == "fast"
    assert visible(tmp_path) == ["1", "2", "5"]


def test_a_server_under_another_user_may_read_the_version(tmp_path):
    (tmp_path / "usual").mkdir()
    path = write_version(tmp_path, None, write())
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for directory in (tmp_path / "file", tmp_path / "file" / "model"):
        with pytest.raises(InputError, match="is a file or lies below one"):
            write_version(directory, None, write())


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"cannot write to .*File name too long"):
        write_version(tmp_path / ("x" * 300), None, write())

    def read_only(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    # Tests may run as root, to whom every folder is writable.
    monkeypatch.setattr("pathlib.Path.mkdir", read_only)
    with pytest.raises(InputError, match=r"cannot write to .*\(Permission denied\)"):
        write_version(tmp_path, None, write())


def test_numbers_beyond_what_servers_count_to_are_refused(tmp_path):
    with pytest.raises(InputError, match="a version is at most"):
        write_version(tmp_path, 2**63, lambda path: None)
    (tmp_path / str(2**63 - 1)).mkdir()
    with pytest.raises(InputError, match="a version is at most"):
        write_version(tmp_path, None, lambda path: None)


def test_a_full_disk_is_said_in_a_sentence(tmp_path):
    def full(path):
        message = "{{function_node __wrapped__SaveV2}} variables; No space left on device [Op:SaveV2]"
        raise tf.errors.ResourceExhaustedError(None, None, message)

    with pytest.raises(OSError, match=r"is the disk full\? variables; No space left on device$"):
        write_version(tmp_path, None, full)
    assert not list(tmp_path.iterdir())
