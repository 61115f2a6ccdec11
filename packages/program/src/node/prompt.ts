import { createInterface } from 'node:readline/promises'
import { FileSyncError } from '@filesync/protocol'
import type { Terminal } from './terminal.ts'

/** Longer than any secret that is typed in or piped in. */
const MAX_SECRET_LENGTH = 4096

/** Whether the user can be asked: only if both input and output are a terminal. */
export function canPrompt (terminal: Pick<Terminal, 'stdin' | 'stdout'>): boolean {
  // Node leaves the field out if the stream is not a terminal.
  return [terminal.stdin, terminal.stdout].every(stream => (stream.isTTY as boolean | undefined) === true)
}

/** Asks one question until `parse` accepts the answer, and shows what `parse` throws. Throws ABORTED if the input ends. */
export async function prompt <T>(terminal: Pick<Terminal, 'stdin' | 'stdout'>, question: string, parse: (text: string) => T): Promise<T> {
  const lines = createInterface({ input: terminal.stdin, output: terminal.stdout })
  // Ctrl-C and Ctrl-D close the interface, but leave the question pending for ever.
  const ended = new Promise<never>((_resolve, reject) => {
    lines.once('close', () => {
      reject(new FileSyncError('ABORTED', 'The input ended before the question was answered. ' +
        'Give the value as an option instead; --help lists the options.'))
    })
  })
  ended.catch(() => { /* also closed after the last answer */ })
  try {
    for (;;) {
      const answer = await Promise.race([lines.question(`${question} `), ended])
      try {
        return parse(answer.trim())
      } catch (error) {
        terminal.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`)
      }
    }
  } finally {
    lines.close()
  }
}

/** The first line of standard input: for secrets, because every user can read the arguments of a process. Throws USAGE. */
export async function readSecretLine (terminal: Pick<Terminal, 'stdin'>): Promise<string> {
  let text = ''
  for await (const chunk of terminal.stdin.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk
    if (text.includes('\n') || text.length > MAX_SECRET_LENGTH) break
  }
  const [line = ''] = text.split('\n')
  if (line.length > MAX_SECRET_LENGTH) {
    throw new FileSyncError('USAGE', `The line on standard input exceeds ${MAX_SECRET_LENGTH} characters, so it is not a code or token.`)
  }
  return line.trim()
}
