"""The page of the development server, in headless Chromium where there is one."""

import shutil
import time

import numpy as np
import pytest
import requests
import tensorflow as tf

import tfssvae
from tfssvae.serving import export

server = pytest.importorskip("tfssvae.serving.development.server")

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

pytestmark = [
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")), reason="no Chromium here"
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.xdist_group("page"),
]
WIDTHS = (360, 900, 1600)
SECONDS = 20


@pytest.fixture(scope="module")
def data():
    return tfssvae.data.load("digits", labels_per_class=10)


@pytest.fixture(scope="module")
def address(data, tmp_path_factory):
    """A server with an M2 whose code has four numbers, and an EXoN on the plane."""
    folder = tmp_path_factory.mktemp("models")
    m2 = tfssvae.models.M2((8, 8, 1), 10, latent_dim=4, hidden=(32,))
    exon = tfssvae.METHODS["exon"]((8, 8, 1), 10, latent_dim=2, hidden=(24, 16), filters=(4, 8))
    names = ["zero <b>bold</b>", *map(str, range(1, 10))]
    for name, model in (("m2", m2), ("exon", exon)):
        origin = {"data": {"name": "digits", "labels": 100}, "test": {"accuracy": 0.91}}
        export(model, folder / name, names, examples=data.x_test[:60], provenance=origin)
    words = [f"a class whose name is as long as a sentence, number {k}" for k in range(20)]
    colour = tfssvae.models.M2((16, 32, 3), 20, latent_dim=4, hidden=(16,))
    export(colour, folder / "colour", words, examples=np.zeros((3, 16, 32, 3), "uint8"))
    export(tfssvae.models.M2((64,), 10, latent_dim=4, hidden=(16,)), folder / "table")
    models = {name: folder / name for name in ("m2", "exon", "colour", "table")}
    with server.running(models, server.Settings(rest_port=0, grpc_port=0)) as ports:
        yield f"http://127.0.0.1:{ports.rest}/"


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, address):
    metrics = {"width": 900, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(address)
    wait(lambda: "M2" in browser.find_element(By.ID, "title").text)
    yield browser
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def wait(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "the page did not get there"
        time.sleep(0.05)


def text(page, name):
    return page.find_element(By.ID, name).text


def is_classified(page):
    return "%" in text(page, "verdict")


def pixels(page, name):
    """The grey values of a canvas."""
    script = """
        const canvas = document.getElementById(arguments[0]);
        return [canvas.width, canvas.height, Array.from(
            canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data)];
    """
    width, height, values = page.execute_script(script, name)
    return np.array(values, "uint8").reshape(height, width, 4)[..., 0]


def draw(page):
    pad = page.find_element(By.ID, "pad")
    actions = ActionChains(page, duration=20).move_to_element_with_offset(pad, 0, -80)
    actions.click_and_hold().move_by_offset(0, 60).move_by_offset(10, 90).release().perform()
    wait(lambda: is_classified(page))


def test_a_drawing_is_classified_reconstructed_and_shown_in_every_class(page):
    draw(page)
    assert pixels(page, "seen").shape == (8, 8)
    assert pixels(page, "seen").max() > 100
    assert pixels(page, "reconstruction").shape == (8, 8)
    assert len(page.find_elements(By.CSS_SELECTOR, "#bars li")) == 10
    assert len(page.find_elements(By.CSS_SELECTOR, "#styles canvas")) == 10
    assert "entropy" in text(page, "facts")
    assert "nats, 100 samples" in text(page, "facts")
    assert "100 labels" in text(page, "origin")
    page.find_element(By.ID, "clear").click()
    assert text(page, "verdict") == "Nothing yet."
    assert pixels(page, "pad").max() == 0


def test_strokes_are_centred_as_mnist_does_unless_told_otherwise(page):
    draw(page)  # a line near the left edge would not be in the middle by itself
    wait(lambda: pixels(page, "seen").max() > 100)
    seen = pixels(page, "seen").astype(float)
    rows, columns = np.indices(seen.shape)
    centre = [(seen * axis).sum() / seen.sum() for axis in (rows, columns)]
    np.testing.assert_allclose(centre, 3.5, atol=0.3)
    height = np.flatnonzero(seen.sum(axis=1) > 60)
    assert np.ptp(height) + 1 in (6, 7)  # 20/28 of 8 rows
    page.find_element(By.ID, "centre").click()
    wait(lambda: np.any(pixels(page, "seen") != seen))


def test_what_it_shows_is_what_the_model_says(page, address, data, tmp_path):
    from PIL import Image

    image = data.x_test[3]
    file = tmp_path / "digit.png"
    Image.fromarray(image[..., 0]).resize((280, 280), Image.Resampling.NEAREST).save(file)
    page.find_element(By.ID, "file").send_keys(str(file))
    wait(lambda: is_classified(page))
    np.testing.assert_allclose(pixels(page, "seen"), image[..., 0], atol=2)
    shown = page.execute_script(
        "return Array.from(document.querySelectorAll('#bars li span:last-child'))"
        ".map((part) => parseFloat(part.textContent))"
    )
    sent = page.execute_async_script(
        """
        const done = arguments[1];
        fetch("/v1/models/m2:predict", {method: "POST",
            body: JSON.stringify({signature_name: "classify", inputs: {images: arguments[0]}})})
            .then((answer) => answer.json()).then((found) => done(found.outputs.probabilities[0]));
        """,
        [image.tolist()],
    )
    np.testing.assert_allclose(shown, 100 * np.array(sent), atol=0.2)


def test_it_is_usable_by_keyboard_alone(page):
    pad = page.find_element(By.ID, "pad")
    page.execute_script("arguments[0].focus()", pad)
    ActionChains(page).send_keys(" ", *[Keys.ARROW_DOWN] * 8, " ").perform()
    wait(lambda: is_classified(page))
    assert "Pen up" in text(page, "pad-hint")
    reached = set()
    for _ in range(13):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.add(page.switch_to.active_element.get_attribute("id"))
    assert {"clear", "file", "invert", "class", "generate", "plane", "walk-class"} <= reached


def test_the_point_on_the_plane_moves_by_mouse_and_by_keys(page):
    wait(lambda: "standard deviations" in text(page, "place"))
    before = pixels(page, "walked")
    plane = page.find_element(By.ID, "plane")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", plane)
    ActionChains(page).move_to_element_with_offset(plane, 90, -90).click().perform()
    assert text(page, "place") != "at 0.0, 0.0 standard deviations"
    wait(lambda: np.any(pixels(page, "walked") != before))
    place = text(page, "place")
    ActionChains(page).send_keys(Keys.ARROW_LEFT).perform()  # the click has given it the focus
    assert text(page, "place") != place


def test_another_model_and_a_generated_image(page):
    page.find_element(By.CSS_SELECTOR, "#models option[value=exon]").click()
    wait(lambda: "EXoN" in text(page, "title"))
    assert not page.find_element(By.ID, "walk-class").is_displayed()  # the class is in the code
    page.find_element(By.ID, "generate").click()
    wait(lambda: is_classified(page))
    assert "V-nat" in text(page, "facts")
    assert len(page.find_elements(By.CSS_SELECTOR, "#styles canvas")) == 10


def test_a_file_that_is_no_image_is_refused_in_words(page, tmp_path):
    file = tmp_path / "words.png"
    file.write_text("no image")
    page.find_element(By.ID, "file").send_keys(str(file))
    wait(lambda: "words.png is not an image" in text(page, "trouble"))
    draw(page)
    assert not page.find_element(By.ID, "trouble").is_displayed()


def test_names_are_text(page):
    draw(page)
    assert "zero <b>bold</b>" in text(page, "bars")
    assert not page.find_elements(By.CSS_SELECTOR, "#bars b, #styles b")


def choose(page, name, title):
    page.find_element(By.CSS_SELECTOR, f"#models option[value={name}]").click()
    wait(lambda: title in text(page, "title"))


def test_what_was_cleared_has_no_answer(page):
    script = """
        const canvas = document.getElementById("pad"), box = canvas.getBoundingClientRect();
        for (const kind of ["pointerdown", "pointerup"]) canvas.dispatchEvent(new PointerEvent(kind,
            {clientX: box.left + 90, clientY: box.top + 90, pointerId: 1}));
    """
    page.execute_script("document.getElementById('pad').setPointerCapture = () => {};" + script)
    page.find_element(By.ID, "clear").click()
    page.find_element(By.ID, "generate").click()
    page.find_element(By.ID, "clear").click()
    time.sleep(1.0)  # an answer would be here by now
    assert text(page, "verdict") == "Nothing yet."
    assert pixels(page, "pad").max() == 0


def test_a_table_has_nothing_to_draw_and_leaves_nothing_behind(page):
    draw(page)
    page.find_element(By.CSS_SELECTOR, "#models option[value=table]").click()
    wait(lambda: "tables of numbers" in text(page, "trouble"))
    assert not [s for s in page.find_elements(By.CSS_SELECTOR, "section") if s.is_displayed()]
    choose(page, "m2", "m2: M2")
    draw(page)


def test_a_dropped_image_keeps_its_proportions(page):
    choose(page, "colour", "colour: M2")
    page.execute_async_script(
        """
        const done = arguments[0], canvas = document.createElement("canvas");
        canvas.width = 320; canvas.height = 160;
        const context = canvas.getContext("2d");
        context.fillStyle = "red"; context.fillRect(160, 0, 160, 160);
        canvas.toBlob((blob) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([blob], "half.png", {type: "image/png"}));
            document.querySelector("h1").dispatchEvent(
                new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
            done();
        });
        """
    )
    wait(lambda: is_classified(page))
    seen = pixels(page, "seen")
    assert seen.shape == (16, 32)
    assert seen[:, 17:].min() > 250
    assert seen[:, :15].max() < 5


@pytest.mark.parametrize("name", ["m2", "colour"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overlaps_or_sticks_out(page, width, name):
    metrics = {"width": width, "height": 1200, "deviceScaleFactor": 1, "mobile": width < 500}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    choose(page, name, f"{name}: M2")
    page.find_element(By.ID, "generate").click()
    wait(lambda: is_classified(page))
    found = page.execute_script(
        """
        const boxes = Array.from(document.querySelectorAll("main > section"))
            .map((part) => part.getBoundingClientRect());
        const over = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
            && a.top < b.bottom - 1 && b.top < a.bottom - 1;
        const shown = Array.from(document.querySelectorAll("section *"))
            .filter((part) => part.checkVisibility() && !part.closest("label.button"));
        return {
            wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
            overlaps: boxes.some((a, i) => boxes.some((b, j) => i < j && over(a, b))),
            out: shown.filter((part) => part.getBoundingClientRect().right
                > part.closest("section").getBoundingClientRect().right + 1)
                .map((part) => part.outerHTML),
            sections: boxes.length,
        };
        """
    )
    assert found == {"wide": 0, "overlaps": False, "out": [], "sections": 5}


def test_only_models_of_this_library_have_a_page(address, tmp_path):
    assert requests.get(f"{address}models/nobody", timeout=SECONDS).status_code == 404
    module = tf.Module()
    function = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], name="x")])
    module.call = function
    tf.saved_model.save(module, str(tmp_path / "other/1"), {"serving_default": function})
    settings = server.Settings(rest_port=0, grpc_port=0)
    with server.running({"other": tmp_path / "other"}, settings) as ports:
        answer = requests.get(f"http://127.0.0.1:{ports.rest}/models/other", timeout=SECONDS)
    assert answer.status_code == 404
    assert "needs a model that tfssvae export has written" in answer.json()["error"]


def test_the_page_runs_nothing_but_its_own_files(address):
    answer = requests.get(address, timeout=SECONDS)
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert requests.get(f"{address}page.py", timeout=SECONDS).status_code == 404
    assert requests.get(f"{address}../server.py", timeout=SECONDS).status_code == 404
