/** Five minutes of one object's rates: uPlot, fed once a second. Its twin in words stands above it. */
import { useEffect, useRef } from "preact/hooks";
import UPlot from "uplot";
import type { History } from "../said.ts";
import { get } from "./api.ts";
import { bits } from "./shown.ts";
import { fabric } from "./state.ts";

const HEIGHT = 150;

const style = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function RateChart({ node, kind, of }: { readonly node: string; readonly kind: string; readonly of: string }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  useEffect(() => {
    const axis = { stroke: style("--mute"), grid: { stroke: style("--line"), width: 1 }, ticks: { show: false } };
    const box = place.current!;
    plot.current = new UPlot(
      {
        width: box.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: false, range: [-300, 0] },
          y: { range: (_, __, max) => [0, Math.max(max, 1000) * 1.15] },
        },
        axes: [
          {
            ...axis,
            size: 26,
            incrs: [60],
            values: (_, ticks) => ticks.map((tick) => (tick === 0 ? "now" : `${tick / 60} min`)),
          },
          { ...axis, size: 66, values: (_, ticks) => ticks.map((tick) => bits(tick)) },
        ],
        series: [
          {},
          { stroke: style("--accent"), width: 2, spanGaps: false },
          { stroke: style("--second"), width: 2, dash: [5, 4], spanGaps: false },
        ],
      },
      [[], [], []],
      box,
    );
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: box.clientWidth, height: HEIGHT }));
    resized.observe(box);
    return () => {
      resized.disconnect();
      plot.current?.destroy();
    };
  }, []);
  const at = fabric.value?.at;
  // With every look at the fabric.
  useEffect(() => {
    let isOver = false;
    const query = new URLSearchParams({ node, kind, name: of });
    get<History>(`/api/history?${query}`).then(
      ({ seconds, receiveBits, transmitBits }) => {
        if (!isOver) plot.current?.setData([[...seconds], [...receiveBits], [...transmitBits]]);
      },
      // The frame of the page says that no gateway answers.
      () => undefined,
    );
    return () => {
      isOver = true;
    };
  }, [at, node, kind, of]);
  return (
    <figure class="chart">
      <figcaption>
        <span class="key solid">received</span> <span class="key dashed">sent</span> bits a second, five minutes
      </figcaption>
      <div ref={place} aria-hidden="true" />
    </figure>
  );
}
