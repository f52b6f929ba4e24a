"""How a page looks: on a phone, on a wide screen, in the dark and on paper."""

STYLESHEET = """
:root {
  color-scheme: light dark;
  --ground: #fff; --raised: #f6f8fa; --ink: #1c2128; --soft: #59636e; --line: #d8dee4;
  --link: #0b5cad; --warn: #fff4ce; --warn-line: #d4a72c;
  --gap: clamp(1.25rem, 3vw, 2.25rem);
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #161b22; --raised: #1f262e; --ink: #d7dde4; --soft: #9aa4af; --line: #343b44;
    --link: #6cb6ff; --warn: #3a2f12; --warn-line: #9e7a1c;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 92rem; padding: clamp(1rem, 3vw, 2.5rem);
  background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
}
h1, h2, h3, p, th, td, dt, dd, li, pre, figcaption { overflow-wrap: anywhere; }
h1 { margin: 0 0 0.5rem; font-size: clamp(1.5rem, 4.5vw, 2.25rem); line-height: 1.15;
  letter-spacing: -0.015em; text-wrap: balance; }
h2 { margin: 0 0 1.25rem; padding-bottom: 0.35rem; border-bottom: 2px solid var(--ink);
  font-size: 1.35rem; line-height: 1.25; }
h3 { margin: 0 0 0.3rem; font-size: 1.05rem; line-height: 1.3; }
h2, article { scroll-margin-top: 1rem; }
p { margin: 0 0 0.75rem; max-width: 75ch; }
a { color: var(--link); text-underline-offset: 0.15em; }
.lead { font-size: 1.05rem; }
.meaning, figcaption { color: var(--soft); font-size: 0.93rem; line-height: 1.5; }
.note {
  margin: 0 0 0.75rem; padding: 0.6rem 0.9rem; max-width: 75ch;
  background: var(--warn); border-left: 4px solid var(--warn-line);
}
.facts {
  display: grid; gap: 1px; margin: 1.5rem 0 var(--gap); padding: 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 9.5rem), 1fr));
}
.facts > div { padding: 0.75rem 1rem; background: var(--raised); min-width: 0;
  border-top: 3px solid var(--link); }
.facts dt { color: var(--soft); font-size: 0.85rem; }
.facts dd { margin: 0; font-variant-numeric: tabular-nums; }
.facts dd.value { font-size: 1.5rem; font-weight: 650; line-height: 1.3; }
.facts dd.aside { color: var(--soft); font-size: 0.85rem; line-height: 1.4; }
nav { font-size: 0.92rem; margin-bottom: var(--gap); }
nav ol { list-style: none; margin: 0; padding: 0; }
nav > ol { display: grid; gap: 0.3rem; }
nav > ol > li > a { font-weight: 600; }
nav li ol { display: inline-flex; flex-wrap: wrap; gap: 0 0.9rem; margin-left: 0.6rem; }
main { min-width: 0; }
main > section { margin-bottom: calc(1.5 * var(--gap)); }
.grid {
  display: grid; gap: var(--gap); align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
}
article { min-width: 0; }
.wide { grid-column: 1 / -1; }
.scroll { overflow-x: auto; overscroll-behavior-x: contain; }
table { border-collapse: collapse; width: 100%; margin-bottom: 0.75rem; font-size: 0.92rem; }
th, td { padding: 0.3rem 0.9rem 0.3rem 0; text-align: left; vertical-align: top; }
thead th { border-bottom: 1.5px solid var(--ink); vertical-align: bottom; }
tbody tr { border-bottom: 1px solid var(--line); }
tbody th { font-weight: normal; color: var(--soft); min-width: 7rem; }
td { min-width: 4.5rem; }
.numbers th:not(:first-child), .numbers td {
  text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: normal; padding-right: 0;
  padding-left: 0.75rem;
}
.numbers td { white-space: nowrap; min-width: 0; }
.numbers tbody th { min-width: 4rem; overflow-wrap: break-word; }
pre {
  margin: 0 0 0.75rem; padding: 0.75rem 1rem; background: var(--raised); white-space: pre-wrap;
  font: 0.88rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
.pictures {
  display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
}
.panels {
  display: grid; gap: 0.75rem 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 10rem), 1fr));
}
figure { margin: 0; min-width: 0; max-width: 100%; }
figcaption, .caption { font-weight: 600; margin: 0 0 0.25rem; }
.panels figcaption { font-weight: normal; font-size: 0.8rem; line-height: 1.35; margin: 0; }
.gallery {
  display: grid; gap: 1rem 0.75rem; margin: 0 0 0.75rem; padding: 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(5.5rem, 1fr));
}
.gallery li { min-width: 0; max-width: 8rem; font-size: 0.8rem; line-height: 1.35;
  overflow-wrap: anywhere; }
.gallery span, .gallery strong { display: block; }
.gallery img { width: 100%; min-width: 0; margin-bottom: 0.25rem; image-rendering: pixelated;
  border: 1px solid var(--line); }
img { display: block; max-width: 100%; min-width: var(--least); height: auto; }
.panels figure { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.panels figure:has([alt^="Lines: "]) { grid-column: 1 / -1; }
.panels img { width: 100%; max-width: 20rem; min-width: 0; }
.panels img[alt^="Lines: "] { width: auto; max-width: 100%; }
footer { color: var(--soft); font-size: 0.85rem; border-top: 1px solid var(--line);
  padding-top: 0.75rem; }
@media screen and (max-width: 26rem) {
  .facts > div:last-child:nth-child(odd) { grid-column: 1 / -1; }
}
@media screen and (min-width: 75rem) {
  .columns { display: grid; grid-template-columns: 13rem minmax(0, 1fr); gap: 2.5rem; }
  nav { position: sticky; top: 1.5rem; align-self: start; max-height: calc(100vh - 3rem);
    overflow-y: auto; margin: 0; }
  nav > ol { gap: 0.75rem; }
  nav li ol { display: grid; gap: 0.1rem; margin: 0.15rem 0 0; padding-left: 0.75rem;
    border-left: 2px solid var(--line); }
  nav li ol a { text-decoration: none; }
  nav li ol a:hover { text-decoration: underline; }
}
@media print {
  @page { margin: 1.5cm; }
  :root { color-scheme: light; --raised: #fff; --warn: #fff; }
  body { padding: 0; max-width: none; font-size: 9pt; }
  nav { display: none; }
  .facts { grid-template-columns: repeat(auto-fit, minmax(3cm, 1fr)); }
  .facts dd.value { font-size: 13pt; }
  /* Columns break between pages where a grid moves whole rows to the next one. */
  .grid { display: block; columns: 2; column-gap: 0.8cm; }
  .wide, article:has(table):not(:has(img)) { column-span: all; }
  article { margin-bottom: 0.6cm; }
  main > section { margin-bottom: 0.3cm; }
  article, figure, tr, pre, .facts { break-inside: avoid; }
  article:has(.panels), article:has(table):not(:has(img)) { break-inside: auto; }
  h2, h3, .meaning, figcaption { break-after: avoid; break-inside: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; }
  .numbers th:not(:first-child), .numbers td { padding-left: 0.3cm; }
  .numbers tbody th { min-width: 1.3cm; overflow-wrap: anywhere; }
  .pictures { grid-template-columns: repeat(auto-fit, minmax(7cm, 1fr)); gap: 0.4cm; }
  footer { display: none; }
  .numbers td, .numbers th { white-space: normal; }
  td { min-width: 0; }
  tbody th { min-width: 2.2cm; }
  .panels { grid-template-columns: repeat(auto-fill, minmax(3cm, 1fr)); }
  .gallery { grid-template-columns: repeat(10, 1fr); gap: 0.2cm; }
  .gallery li { break-inside: avoid; font-size: 7pt; }
  img { min-width: 0; max-height: 15cm; object-fit: contain; object-position: left top; }
  a { color: inherit; text-decoration: none; }
}
"""
