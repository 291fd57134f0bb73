/** Lines to copy: how a ping is made here, and how something is broken and mended. */
import { signal } from "@preact/signals";
import type { Lesson } from "../said.ts";

const copied = signal<string | null>(null);

export function Copy({ text }: { readonly text: string }) {
  return (
    <span class="copy">
      <code>{text}</code>
      <button
        type="button"
        onClick={async () => {
          await navigator.clipboard.writeText(text);
          copied.value = text;
        }}
      >
        {copied.value === text ? "copied" : "copy"}
      </button>
    </span>
  );
}

export function LessonLines({ lesson }: { readonly lesson: Lesson }) {
  return (
    <details class="lesson">
      <summary>ping and break things yourself: lines to copy into a terminal</summary>
      <ul>
        <li>
          <strong>A ping of your own</strong>: choose “my own ping”, then <Copy text={lesson.ping} />
        </li>
        {lesson.faults.map((fault) => (
          <li key={fault.title}>
            <strong>{fault.title}</strong>
            {fault.ping === null ? (
              ": walk again, and see where it stops"
            ) : (
              <>
                : “my own ping”, then <Copy text={fault.ping} />
              </>
            )}
            <div>
              <span class="quiet">break</span> <Copy text={fault.break} />
            </div>
            <div>
              <span class="quiet">mend</span> <Copy text={fault.mend} />
            </div>
          </li>
        ))}
      </ul>
    </details>
  );
}
