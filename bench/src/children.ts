import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { basename } from 'node:path'
import { errnoOf } from '@filesync/protocol'

/** A program that ran to its end. */
export interface Ended {
  readonly code: number
  readonly durationMs: number
  readonly stdout: string
  readonly stderr: string
}

/** A program that has been started. */
export interface Started {
  readonly pid: number
  /** Each line of its standard output, from the first on. */
  readonly lines: AsyncIterable<string>
  readonly ended: Promise<Ended>
}

/** What else a shell sets can have a program read certificates or load modules, and is the time of neither side. */
const KEPT = ['PATH', 'HOME', 'TMPDIR', 'LANG']

/**
 * The programs that were started and have not ended. Each leads a process group of its own, so that Ctrl-C reaches only
 * this process, and ending a program ends what it started.
 */
export class Children {
  readonly #running = new Map<number, ChildProcess>()

  start (command: string, args: readonly string[], cwd?: string): Started {
    const startedMs = performance.now()
    const env = Object.fromEntries(KEPT.flatMap(name => process.env[name] === undefined ? [] : [[name, process.env[name]]]))
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...(cwd !== undefined && { cwd }) })
    const { pid, stdout: out, stderr: err } = child
    const lines = new LineQueue()
    let stdout = ''
    let stderr = ''
    out.setEncoding('utf8').on('data', (text: string) => { stdout += text; lines.push(text) })
    err.setEncoding('utf8').on('data', (text: string) => { stderr += text })
    const ended = new Promise<Ended>((resolve, reject) => {
      let durationMs = 0
      child.once('error', reject)
      child.once('exit', () => { durationMs = performance.now() - startedMs })
      child.once('close', code => {
        if (pid !== undefined) this.#running.delete(pid)
        lines.end()
        resolve({ code: code ?? -1, durationMs, stdout, stderr })
      })
    })
    // Whoever stops a program need not ask how it ended.
    ended.catch(() => { lines.end() })
    if (pid !== undefined) this.#running.set(pid, child)
    return { pid: pid ?? -1, lines, ended }
  }

  /** Runs a program to its end. Throws with what it wrote where it fails. */
  async run (command: string, args: readonly string[]): Promise<Ended> {
    const ended = await this.start(command, args).ended
    if (ended.code !== 0) throw new Error(`${[command, ...args.slice(0, 2)].map(word => basename(word)).join(' ')} ended with ${ended.code}: ${ended.stderr}${ended.stdout}`)
    return ended
  }

  /** Ends a program and what it started, and waits for it. */
  async stop (started: Started, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.#running.has(started.pid)) return
    killGroup(started.pid, signal)
    await started.ended
  }

  killAll (): void {
    for (const pid of this.#running.keys()) killGroup(pid, 'SIGKILL')
  }
}

function killGroup (pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    // It ended a moment ago.
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}

/** Lines for one reader, kept until they are asked for. */
class LineQueue implements AsyncIterable<string> {
  readonly #lines: string[] = []
  #rest = ''
  #over = false
  #wake: (() => void) | undefined

  push (text: string): void {
    const parts = (this.#rest + text).split('\n')
    this.#rest = parts.pop() ?? ''
    this.#lines.push(...parts)
    this.#wake?.()
  }

  end (): void {
    this.#over = true
    this.#wake?.()
  }

  async * [Symbol.asyncIterator] (): AsyncGenerator<string, void, undefined> {
    for (;;) {
      const line = this.#lines.shift()
      if (line !== undefined) yield line
      else if (this.#over) return
      else await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }
}
