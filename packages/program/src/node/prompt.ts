import { createInterface } from 'node:readline/promises'
import type { Terminal } from './program.ts'

/** Whether a person can be asked: only where both ends of the conversation are a terminal. */
export function canPrompt (terminal: Terminal): boolean {
  return terminal.stdin.isTTY && terminal.stdout.isTTY
}

/** Asks one question until `parse` accepts the answer; what `parse` throws is shown. */
export async function prompt <T>(terminal: Terminal, question: string, parse: (text: string) => T): Promise<T> {
  const lines = createInterface({ input: terminal.stdin, output: terminal.stdout })
  try {
    for (;;) {
      const answer = await lines.question(`${question} `)
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

/** The first line of standard input, for what may not stand in the arguments, where every user could read it. */
export async function promptSecretLine (terminal: Terminal): Promise<string> {
  const lines = createInterface({ input: terminal.stdin, crlfDelay: Infinity })
  try {
    for await (const line of lines) return line.trim()
    return ''
  } finally {
    lines.close()
  }
}
