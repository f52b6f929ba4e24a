"""Right rows, an exported model, and what each road makes of right rows."""

import pytest

from tests.roads.roads import ROADS, Place, model_of
from tests.roads.wrong_values import right_rows
from tfssvae.serving import export
from tfssvae.serving.development.server import Settings, running


@pytest.fixture(scope="session")
def rows():
    return right_rows()


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """The version of an exported model, and the port at which it is served."""
    version = export(model_of(8, 8, 1), tmp_path_factory.mktemp("models") / "m2")
    with running({"m2": version.parent}, Settings(rest_port=0, grpc_port=0)) as ports:
        yield version, ports.rest


@pytest.fixture
def place(tmp_path, served):
    return Place(tmp_path, *served)


@pytest.fixture(scope="session")
def right(rows, served, tmp_path_factory):
    """What each road makes of right rows."""
    found = {}

    def of(road):
        if road not in found:
            found[road] = ROADS[road](rows, Place(tmp_path_factory.mktemp("right"), *served))
        return found[road]

    return of
