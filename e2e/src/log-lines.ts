import { createInterface } from 'node:readline'
import type { RunningServer } from './programs.ts'

type LogLine = Readonly<Record<string, unknown>> & { readonly event: string }

/** What a server logs from now on, as `--json-logs` has it. */
export class LogLines {
  readonly #lines: LogLine[] = []
  #wake: () => void = () => { /* nobody waits */ }

  constructor ({ child }: Pick<RunningServer, 'child'>) {
    createInterface({ input: child.stdout }).on('line', text => {
      this.#lines.push(JSON.parse(text) as LogLine)
      this.#wake()
    })
  }

  /** The first line of an event, as soon as there is one; each is given once. */
  async next (event: string): Promise<LogLine> {
    for (;;) {
      const at = this.#lines.findIndex(line => line.event === event)
      const [line] = at < 0 ? [] : this.#lines.splice(at, 1)
      if (line !== undefined) return line
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }
}
