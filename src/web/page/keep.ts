/**
 * What a reader takes away: files that the server makes of a walk, and pictures of the page as they are on the screen.
 *
 * A picture that stands alone has no style sheet: what the browser made of ours is written to each of its
 * elements, as attributes: styles in elements are what the page's policy forbids. Names that come
 * from outside are text there as here, and nothing in it runs.
 */

/** What a picture of ours is drawn with. */
const DRAWN = [
  ...[
    "fill",
    "fill-opacity",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "stroke-linecap",
    "stroke-opacity",
    "opacity",
  ],
  ...["font-family", "font-size", "font-weight", "letter-spacing", "text-anchor", "visibility"],
  ...["dominant-baseline", "paint-order", "stroke-linejoin", "display"],
];
/** Of the page, and of no use in a picture. */
const PAGES = ["class", "role", "tabindex", "aria-pressed", "style"];
const SVG = "http://www.w3.org/2000/svg";

export function save(blob: Blob, fileName: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** The picture that `selector` names, as a file. */
export function savePicture(selector: string, fileName: string): void {
  const shown = document.querySelector<SVGSVGElement>(selector);
  if (shown === null) return;
  const picture = shown.cloneNode(true) as SVGSVGElement;
  const [from, to] = [shown, picture].map((root) => [root, ...root.querySelectorAll<SVGElement>("*")]);
  for (const [i, each] of from!.entries()) {
    const style = getComputedStyle(each);
    const twin = to![i]!;
    for (const name of PAGES) twin.removeAttribute(name);
    for (const name of [...twin.getAttributeNames()].filter((known) => known.startsWith("data-")))
      twin.removeAttribute(name);
    for (const name of DRAWN) twin.setAttribute(name, style.getPropertyValue(name));
  }
  const { width, height } = shown.viewBox.baseVal;
  picture.setAttribute("xmlns", SVG);
  picture.setAttribute("width", String(width));
  picture.setAttribute("height", String(height));
  const ground = document.createElementNS(SVG, "rect");
  ground.setAttribute("width", "100%");
  ground.setAttribute("height", "100%");
  ground.setAttribute("fill", getComputedStyle(shown.closest(".card") ?? document.body).backgroundColor);
  picture.prepend(ground);
  save(new Blob([new XMLSerializer().serializeToString(picture)], { type: "image/svg+xml" }), fileName);
}
