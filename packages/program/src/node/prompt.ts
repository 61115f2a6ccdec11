import { createInterface } from 'node:readline/promises'
import { FileSyncError } from '@filesync/protocol'
import type { Terminal } from './program.ts'

/** Longer than any secret that is typed or piped in. */
const MAX_SECRET_LENGTH = 4096

/** Whether a person can be asked: only where both ends of the conversation are a terminal. */
export function canPrompt (terminal: Pick<Terminal, 'stdin' | 'stdout'>): boolean {
  // Node leaves the field out where it is no terminal.
  return [terminal.stdin, terminal.stdout].every(stream => (stream.isTTY as boolean | undefined) === true)
}

/** Asks one question until `parse` accepts the answer; what `parse` throws is shown. Throws ABORTED when the input ends. */
export async function prompt <T>(terminal: Pick<Terminal, 'stdin' | 'stdout'>, question: string, parse: (text: string) => T): Promise<T> {
  const lines = createInterface({ input: terminal.stdin, output: terminal.stdout })
  // Ctrl-C and Ctrl-D close the conversation, and the question would wait for ever.
  const ended = new Promise<never>((_resolve, reject) => {
    lines.once('close', () => { reject(new FileSyncError('ABORTED', 'The question was not answered. Give the value as an option; --help lists them.')) })
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

/** The first line of standard input, for what may not stand in the arguments, where every user could read it. Throws USAGE. */
export async function readSecretLine (terminal: Pick<Terminal, 'stdin'>): Promise<string> {
  let text = ''
  for await (const chunk of terminal.stdin.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk
    if (text.includes('\n') || text.length > MAX_SECRET_LENGTH) break
  }
  const [line = ''] = text.split('\n')
  if (line.length > MAX_SECRET_LENGTH) throw new FileSyncError('USAGE', 'What stands on standard input is too long.')
  return line.trim()
}
