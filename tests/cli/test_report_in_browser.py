"""Pages of `tfssvae report` and `tfssvae compare` in headless Chromium, where there is one."""

import itertools
import json
import shutil

import numpy as np
import pytest

from tests.cli.run_folders import DIGITS, HISTORY, make_run
from tfssvae.cli import main

webdriver = pytest.importorskip("selenium.webdriver")

pytestmark = [
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")), reason="no Chromium here"
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.xdist_group("report page"),
]
WIDTHS = (400, 900, 1600)
PAPER = 680  # pixels of 18 cm
SCREENS = [(width, scheme, "screen") for width in WIDTHS for scheme in ("light", "dark")]
VIEWS = [*SCREENS, (PAPER, "dark", "print"), (PAPER, "light", "print")]

# A picture of the other colours is asked for with the next frame, and its promise of being decoded
# may be the old one's: wait for the source that the media ask for, then for its pixels.
PICTURES_ARE_THERE = """
const done = arguments[0];
const wanted = image => {
  const sources = [...image.parentElement.querySelectorAll(':scope > source')];
  const source = sources.find(one => matchMedia(one.media).matches);
  return source ? source.srcset : image.src;
};
const wait = () => {
  const images = [...document.images];
  if (images.every(image => image.currentSrc === wanted(image)))
    Promise.allSettled(images.map(image => image.decode())).then(() => done());
  else
    requestAnimationFrame(wait);
};
wait();
"""

# What is wrong with the layout: a list of sentences.
PROBLEMS = """
const found = [], box = e => e.getBoundingClientRect();
const name = e => `${e.tagName} ${e.className} "${(e.textContent || e.alt || '').slice(0, 40)}"`;
const page = document.documentElement;
if (page.scrollWidth > page.clientWidth)
  found.push(`the page is ${page.scrollWidth} px wide, not ${page.clientWidth}`);
for (const image of document.images)
  if (!image.complete || !image.naturalWidth || box(image).width < 5)
    found.push(`no picture: ${image.alt}`);
const containers = 'body, .columns, main, section, .grid, article, .facts, .facts > div, .gallery,'
  + '.gallery li, .pictures, .panels, figure, nav, nav ol, table, thead, tbody, tr, header';
for (const parent of document.querySelectorAll(containers)) {
  const children = [...parent.children].filter(e => box(e).width && box(e).height);
  children.forEach((one, i) => children.slice(i + 1).forEach(other => {
    const a = box(one), b = box(other);
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 1 && down > 1) found.push(`${name(one)} lies on ${name(other)}`);
  }));
}
const printed = matchMedia('print').matches;
for (const element of document.querySelectorAll('h1, h2, h3, p, dt, dd, li, th, td, pre, a, '
    + 'figcaption, span, strong, img, footer')) {
  if (!box(element).width) continue;
  if (element.tagName !== 'A' && element.scrollWidth > element.clientWidth + 1
      && getComputedStyle(element).display !== 'inline')
    found.push(`cut off: ${name(element)}`);
  const scrolled = !printed && element.closest('.scroll');
  const room = element.closest('article, nav, header, footer, main');
  if (!scrolled && room && room !== element && box(element).right > box(room).right + 1)
    found.push(`sticks out: ${name(element)}`);
}
return found;
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A report whose names are long and full of markup, and a comparison of two runs."""
    folder = tmp_path_factory.mktemp("pages")
    rng = np.random.default_rng(0)
    path = folder / f"<b>&amp;'{'long' * 12}.npz"
    names = ["<i>a class with a name as long as a sentence</i>", f"{'unbroken' * 6}"]
    arrays = {f"x_{part}": rng.random((40, 8, 8, 3)) for part in ("train", "test")}
    labels = {f"y_{part}": np.arange(40) % 2 for part in ("train", "test")}
    np.savez(path, **arrays, **labels, class_names=np.array(names))
    history = {**HISTORY, "val_loss": [4.0, 3.0], "a_term_with_a_very_long_name_indeed": [1.0, 2.0]}
    source = {"name": str(path), "labels_per_class": 5, "seed": 0}
    run = make_run(folder / "run", source, history=history)
    report, comparison = folder / "report.html", folder / "comparison.html"
    assert main(["report", str(run), "--out", str(report)]) == 0
    runs = [folder / f"{name * 9}-seed0" for name in ("short", "long-name")]
    make_run(runs[0], DIGITS, history=history)
    shutil.copytree(*runs)
    config = json.loads((runs[1] / "config.json").read_text())
    (runs[1] / "config.json").write_text(json.dumps({**config, "epochs": 9, "a setting": "b" * 50}))
    for run, accuracy in zip(runs, (0.5, 0.625), strict=True):
        metrics = json.loads((run / "metrics.json").read_text())
        metrics["test"] = {"accuracy": accuracy, "log_likelihood_5000": -100.0}
        (run / "metrics.json").write_text(json.dumps(metrics))
    with pytest.MonkeyPatch.context() as patch:
        from tfssvae.report import compare

        few = compare.picture_sections
        patch.setattr(compare, "picture_sections", lambda *a: itertools.islice(few(*a), 3))
        assert main(["compare", *map(str, runs), "--out", str(comparison)]) == 0
    return {"report": report, "comparison": comparison}


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


def show(browser, page, width=900, scheme="light", media="screen"):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    if browser.current_url != page.as_uri():
        browser.get(page.as_uri())
    browser.execute_async_script(PICTURES_ARE_THERE)


@pytest.mark.parametrize("page", ["report", "comparison"])
@pytest.mark.parametrize(("width", "scheme", "media"), VIEWS)
def test_nothing_overlaps_is_cut_off_or_missing(browser, pages, page, width, scheme, media):
    show(browser, pages[page], width, scheme, media)
    assert browser.execute_script(PROBLEMS) == []


BREAKS = {
    "images that do not shrink": (".gallery img { width: 30rem; max-width: none; }", "sticks out"),
    "sections that move up": ("article + article { margin-top: -200px; }", "lies on"),
    "a title on one line": ("h1 { white-space: nowrap; }", "wide"),
    "captions that do not break": (".gallery strong { white-space: nowrap; }", "cut off"),
    "figures that do not break": (
        "td { min-width: 40rem; } .scroll { overflow: visible; }",
        "wide",
    ),
    "rows too wide for paper": ("@media print { td { min-width: 20cm; } }", "sticks out"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_the_checks_notice_a_broken_stylesheet(browser, pages, kind):
    style, complaint = BREAKS[kind]
    media = "print" if "print" in style else "screen"
    show(browser, pages["report"], PAPER if media == "print" else 400, media=media)
    browser.execute_script(
        "const style = document.createElement('style'); style.textContent = arguments[0];"
        "document.head.append(style); window.broken = style;",
        style,
    )
    try:
        found = browser.execute_script(PROBLEMS)
    finally:
        browser.execute_script("window.broken.remove();")
    assert any(complaint in problem for problem in found), found


def test_a_missing_picture_is_noticed(browser, pages):
    show(browser, pages["report"])
    browser.execute_async_script(
        "const done = arguments[0], image = document.images[0];"
        "image.onerror = () => done(); image.src = 'data:image/png;base64,AAAA';"
    )
    found = browser.execute_script(PROBLEMS)
    browser.get("about:blank")
    assert [problem for problem in found if problem.startswith("no picture")]


def test_dark_pages_have_dark_pictures_and_paper_has_light_ones(browser, pages):
    def source():
        return browser.execute_script(
            "const image = document.querySelector('picture img');"
            "return [image.currentSrc === image.src,"
            " getComputedStyle(document.body).backgroundColor];"
        )

    show(browser, pages["report"], scheme="light")
    assert source() == [True, "rgb(255, 255, 255)"]
    show(browser, pages["report"], scheme="dark")
    assert source() == [False, "rgb(22, 27, 34)"]
    show(browser, pages["report"], scheme="dark", media="print")
    assert source() == [True, "rgb(255, 255, 255)"]


@pytest.mark.parametrize("page", ["report", "comparison"])
def test_no_request_is_made(browser, pages, page):
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get_log("browser")
    show(browser, pages[page])
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event for event in events if event["method"] == "Network.requestWillBeSent"]
    asked = [event["params"]["request"]["url"] for event in sent]
    outside = [url for url in asked if not url.startswith("data:")]
    assert outside == [pages[page].as_uri()]
    assert browser.get_log("browser") == []
