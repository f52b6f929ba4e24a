"""What an installation leaves in site-packages."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_script_beside_an_installed_checkout_finds_the_package(tmp_path):
    """The folder of the checkout has the name of the package, and is a script's own folder's."""
    checkout = tmp_path / "tfssvae"
    (checkout / "tfssvae").mkdir(parents=True)
    for name in ("setup.py", "README.md", "tfssvae/__init__.py"):
        shutil.copy(ROOT / name, checkout / name)
    build = "from setuptools.build_meta import build_editable; print(build_editable('..'))"
    command = [sys.executable, "-W", "ignore", "-c", build]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    installed = tmp_path / "site"
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        wheel.extractall(installed)
    (tmp_path / "script.py").write_text(
        f"import site; site.addsitedir({str(installed)!r}); import tfssvae; print(tfssvae.__file__)"
    )
    script = [sys.executable, "-S", str(tmp_path / "script.py")]
    elsewhere = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run(script, capture_output=True, text=True, check=True, env=elsewhere)
    assert Path(found.stdout.strip()) == checkout / "tfssvae/__init__.py"
