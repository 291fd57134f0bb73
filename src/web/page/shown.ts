/**
 * Text and numbers as they are shown. Names come from configurations, addresses from VMs: a control character or a mark of
 * writing direction is spelled out (`\u{202e}`), and a long text is cut, so that nothing looks like what it is not.
 */

const LONGEST = 64;
const LONGEST_SENTENCE = 400;

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that are meant
const UNSHOWN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

const spelled = (text: string): string => text.replace(UNSHOWN, (sign) => `\\u{${sign.codePointAt(0)!.toString(16)}}`);

/** A name or an address. */
export function name(text: string | null | undefined): string {
  if (text === null || text === undefined) return "–";
  return spelled(text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);
}

/** A sentence. */
export function sentence(text: string | null | undefined): string {
  if (text === null || text === undefined) return "";
  return spelled(text.length > LONGEST_SENTENCE ? `${text.slice(0, LONGEST_SENTENCE - 1)}…` : text);
}

const UNITS = ["b/s", "kb/s", "Mb/s", "Gb/s", "Tb/s"];

/** "1.2 Mb/s". */
export function bits(perSecond: number | null | undefined): string {
  if (perSecond === null || perSecond === undefined) return "–";
  let [value, unit] = [perSecond, 0];
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : count(value)} ${UNITS[unit]}`;
}

/** Beyond this no gateway counts: powers of ten in place of three hundred digits. */
const MOST_COUNTED = 1e15;

export function count(value: number): string {
  if (!(Math.abs(value) < MOST_COUNTED)) return value.toExponential(1);
  return Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
}

/** "2 h 05 min". */
export function duration(seconds: number): string {
  if (!(seconds < MOST_COUNTED)) return count(seconds);
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${String(minutes % 60).padStart(2, "0")} min` : `${Math.floor(hours / 24)} days`;
}

/** Text of a moment: hours to milliseconds, in the reader's zone. */
export function clock(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return name(iso);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}
