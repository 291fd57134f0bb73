/** Colours of VXLANs: by the order of their VNIs, so that a VXLAN has one colour in all views; the VNI stands beside it always. */
import { computed, signal } from "@preact/signals";
import { fabric } from "./state.ts";

/** Classes of style.css. */
const COLOURS = 6;

/** Of a walk that was kept as a file: there is no fabric to ask. */
export const vnisHere = signal<readonly number[]>([]);

export const vnis = computed<readonly number[]>(() => {
  if (fabric.value === null) return vnisHere.value;
  const all = fabric.value.gateways.flatMap(({ vsis }) => vsis.flatMap(({ vni }) => (vni === null ? [] : [vni])));
  return [...new Set(all)].sort((a, b) => a - b);
});

/** VNIs that are not drawn. */
export const hidden = signal<ReadonlySet<number>>(new Set());

export function colourOf(vni: number | null): string {
  if (vni === null) return "v-none";
  const at = vnis.value.indexOf(vni);
  return `v${(at < 0 ? vni : at) % COLOURS}`;
}

export function Vni({ vni }: { readonly vni: number | null }) {
  if (vni === null) return <span class="vni v-none">local</span>;
  return <span class={`vni ${colourOf(vni)}`}>{vni}</span>;
}

export function VniChoice() {
  if (vnis.value.length < 2 || vnis.value.length > 12) return null;
  return (
    <fieldset class="choice">
      <legend>VXLAN</legend>
      {vnis.value.map((vni) => (
        <label key={vni} class={`pick ${colourOf(vni)}`}>
          <input
            type="checkbox"
            checked={!hidden.value.has(vni)}
            onChange={({ currentTarget }) => {
              const next = new Set(hidden.value);
              if (currentTarget.checked) next.delete(vni);
              else next.add(vni);
              hidden.value = next;
            }}
          />
          {vni}
        </label>
      ))}
    </fieldset>
  );
}
