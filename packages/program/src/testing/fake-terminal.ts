import { PassThrough } from 'node:stream'
import type { Terminal } from '../node/terminal.ts'

/** A terminal that records everything printed. */
export interface FakeTerminal extends Terminal {
  readonly input: PassThrough
  /** What was written to stdout. */
  printed (): string
  /** What was written to stderr. */
  complained (): string
}

/** A terminal in memory; `isTTY` makes it interactive. */
export function fakeTerminal (env: Readonly<Record<string, string>> = {}, isTTY = false): FakeTerminal {
  const input = Object.assign(new PassThrough(), { isTTY })
  const [stdout, stderr] = [recorder(isTTY), recorder(isTTY)]
  return {
    input,
    stdin: input as unknown as NodeJS.ReadStream,
    stdout: stdout.stream,
    stderr: stderr.stream,
    // No settings file of the machine that runs the test is read.
    env: { XDG_CONFIG_HOME: '/nonexistent', ...env },
    printed: stdout.text,
    complained: stderr.text,
  }
}

function recorder (isTTY: boolean): { stream: NodeJS.WriteStream, text: () => string } {
  let text = ''
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 80 })
  stream.on('data', (chunk: { toString (): string }) => { text += chunk.toString() })
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => text }
}
