"""Folders of images: which folders are classes, and that nothing is left out without a word."""

import os
import unicodedata

import pytest
from PIL import Image

from tests.data.image_folders import GREY, said, write
from tfssvae.checks import InputError
from tfssvae.data.folder import read_folder


@pytest.fixture
def photos(tmp_path):
    """Two classes with two images each, and one test image."""
    for name in ("train/cat/0.png", "train/cat/1.png", "train/dog/2.png", "train/dog/3.png"):
        write(tmp_path / "photos" / name)
    write(tmp_path / "photos/test/dog/4.png")
    return tmp_path / "photos"


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"?")


def test_a_folder_that_is_read_whole_says_nothing(photos, caplog):
    read_folder(photos)
    assert said(caplog) == ""


def test_files_of_other_kinds_are_counted(photos, caplog):
    for number in range(3):
        touch(photos / f"train/cat/{number}.heic")
    touch(photos / "test/dog/notes.TXT")
    touch(photos / "train/labels.csv")
    touch(photos / "train/dog/README")
    assert read_folder(photos).y_train.tolist() == [0, 0, 1, 1]
    assert said(caplog) == (
        f"{photos}: passed over 6 files of kinds that are not read (3 .heic, 1 without extension, "
        "1 .txt, 1 .csv), e.g. test/dog/notes.TXT: save images as png, jpg or tif"
    )


def test_one_file_of_another_kind(photos, caplog):
    touch(photos / "train/cat/5.heic")
    read_folder(photos)
    assert "1 file of a kind that is not read (1 .heic), e.g. train/cat/5.heic" in said(caplog)


def test_folders_inside_of_classes_are_counted(photos, caplog):
    write(photos / "train/cat/old/5.png")
    write(photos / "train/cat/older/6.png")
    assert len(read_folder(photos).x_train) == 4
    assert "2 folders inside of classes, e.g. train/cat/old: move the images up" in said(caplog)


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "dev"])
def test_validation_folders_are_named(photos, caplog, name):
    write(photos / name / "cat/5.png")
    assert len(read_folder(photos).x_train) == 4
    assert (
        f"1 folder of validation images, e.g. {name}: move them into train/<class>/ and hold rows "
        "out with validation= or --validation"
    ) in said(caplog)


def test_what_stands_beside_train_and_test_is_named(photos, caplog):
    write(photos / "Test/cat/5.png")
    write(photos / "6.png")
    touch(photos / "README.md")
    read_folder(photos)
    text = said(caplog)
    assert "1 folder beside train/ and test/, e.g. Test: only train/<class>/" in text
    assert "1 image outside of train/ and test/, e.g. 6.png" in text
    assert "README" not in text


def test_pipes_and_links_that_lead_nowhere_are_counted(photos, caplog):
    os.mkfifo(photos / "train/cat/5.png")
    (photos / "train/cat/6.png").symlink_to("6.png")
    read_folder(photos)
    assert "2 entries that are neither files nor folders, e.g. train/cat/5.png" in said(caplog)


def test_names_that_are_passed_over_do_not_steer_a_terminal(photos, caplog):
    touch(photos / "train/cat/\x1b[2J.heic")
    read_folder(photos)
    assert r"e.g. train/cat/\x1b[2J.heic" in said(caplog)


def test_what_systems_leave_behind_is_no_class(photos, caplog):
    for name in ("__MACOSX", "@eaDir", ".ipynb_checkpoints", ".Trash"):
        touch(photos / "train" / name / "0.png")
        touch(photos / name / "0.png")
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "._0.png"):
        touch(photos / "train/cat" / name)
        touch(photos / "train" / name)
    source = read_folder(photos)
    assert source.class_names == ("cat", "dog")
    assert said(caplog) == ""


def test_a_class_without_an_image_that_is_read_is_refused(photos):
    for number in range(2):
        touch(photos / f"train/bird/{number}.heic")
    (photos / "train/bird/old").mkdir()
    with pytest.raises(InputError) as caught:
        read_folder(photos)
    assert str(caught.value) == (
        f"{photos}/train/bird has no image that is read, only 2 files of kinds that are not read "
        "(2 .heic), e.g. 0.heic: save images as png, jpg or tif; 1 folder inside of a class, e.g. "
        "old: move the images up into the class; remove it if it is no class."
    )


@pytest.mark.parametrize("folder", ["train/unlabelled", "test/cat"])
def test_what_would_be_missed_as_a_whole_is_refused(photos, folder):
    touch(photos / folder / "0.heic")
    with pytest.raises(InputError, match=rf"{folder} has no image that is read, only 1 file"):
        read_folder(photos)


def test_an_empty_class_is_refused(photos):
    (photos / "train/bird").mkdir()
    with pytest.raises(InputError, match=r"train/bird is empty: put images of the class there"):
        read_folder(photos)
    write(photos / "test/bird/0.png")
    with pytest.raises(InputError, match=r"train/bird is empty"):
        read_folder(photos)


def test_empty_folders_that_are_no_class_are_named(photos, caplog):
    (photos / "train/unlabelled").mkdir()
    (photos / "test/cat").mkdir()
    read_folder(photos)
    assert "2 empty folders, e.g. test/cat: put images there, or remove what is not" in said(caplog)


@pytest.mark.parametrize(
    "name", ["Unlabeled", "UNLABELLED", "unlabelled ", "_unlabelled", "(unlabeled)"]
)
def test_unlabelled_images_however_they_are_spelled(photos, name):
    write(photos / "train" / name / "5.png")
    source = read_folder(photos)
    assert source.class_names == ("cat", "dog")
    assert sorted(source.y_train.tolist()) == [-1, 0, 0, 1, 1]


@pytest.mark.parametrize("name", ["unsup", "unlabled", "unlabelled_images", "no_label"])
def test_names_that_seem_to_say_unlabelled_are_refused(photos, name):
    write(photos / "train" / name / "5.png")
    with pytest.raises(InputError, match=rf"train/{name} is called neither unlabelled nor like a"):
        read_folder(photos)


def test_unlabelled_test_images_are_refused(photos):
    write(photos / "test/unlabelled/5.png")
    with pytest.raises(InputError, match=r"has no labels to test with: move it to train/unlab"):
        read_folder(photos)


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "éléphant") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("train", "test"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED + " ")])
def test_a_class_is_the_same_in_any_unicode_form(photos, train, test):
    write(photos / "train" / train / "5.png")
    write(photos / "test" / test / "6.png", GREY + 1)
    source = read_folder(photos)
    assert source.class_names == ("cat", "dog", COMPOSED)
    assert source.y_train.tolist() == [0, 0, 1, 1, 2]
    assert source.y_test.tolist() == [1, 2]
    assert source.x_test[1, 0, 0, 0] == 1


@pytest.mark.parametrize("part", ["train", "test"])
def test_two_folders_of_one_class_are_refused(photos, part):
    write(photos / "train" / COMPOSED / "5.png")
    for name in (COMPOSED, DECOMPOSED):
        write(photos / part / name / "6.png")
    with pytest.raises(InputError, match=r"two folders of one class, 'e\\u0301l.*\\xe9l"):
        read_folder(photos)


def test_spaces_around_a_name_are_no_other_class(photos):
    write(photos / "train/cat /5.png")
    with pytest.raises(InputError, match=r"two folders of one class, 'cat' and 'cat '"):
        read_folder(photos)


def test_classes_that_differ_by_case_are_classes_and_named(photos, caplog):
    # The letters a and A are two classes; Cat and cat are hardly.
    write(photos / "train/Cat/5.png")
    assert read_folder(photos).class_names == ("Cat", "cat", "dog")
    assert said(caplog) == f'{photos}: classes differ by case only, e.g. "Cat" and "cat"'


def test_the_layout_that_was_found_instead(tmp_path):
    write(tmp_path / "photos/train/cat/0.png")
    with pytest.raises(InputError, match=r"has no folder train/: expected .*; it has photos/\."):
        read_folder(tmp_path)
    touch(tmp_path / "train/0.heic")
    with pytest.raises(InputError, match=r"no images in train/ \(1 file of a kind .* 1 folder"):
        read_folder(tmp_path)


def test_an_image_that_belongs_to_no_class(photos):
    write(photos / "test/5.png")
    with pytest.raises(InputError, match=r"5\.png stands outside of .* move it to test/<class>/\."):
        read_folder(photos)


def test_a_loop_of_folders_ends(photos, caplog):
    (photos / "train/cat/loop").symlink_to(photos / "train")
    assert len(read_folder(photos).x_train) == 4
    assert "1 folder inside of a class, e.g. train/cat/loop" in said(caplog)


def test_a_folder_that_cannot_be_read(photos, monkeypatch):
    iterdir = type(photos).iterdir

    def refuse(path):
        if path.name == "dog":
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(type(photos), "iterdir", refuse)
    with pytest.raises(InputError, match=r"train/dog cannot be read: Permission denied\."):
        read_folder(photos)


def test_several_pictures_in_a_file_are_named(photos, caplog):
    pages = [Image.fromarray(GREY + k) for k in range(3)]
    write(photos / "train/cat/5.tif", pages[0], save_all=True, append_images=pages[1:])
    write(photos / "train/dog/6.gif", pages[1], save_all=True, append_images=pages[2:])
    x = read_folder(photos).x_train
    assert (x[2, 0, 0, 0], x[5, 0, 0, 0]) == (0, 1)
    assert said(caplog) == (
        f"{photos}: of files with several pictures or pages the first is read, in 2 of 7 files, "
        "e.g. train/cat/5.tif"
    )
