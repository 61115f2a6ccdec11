import { asFileSyncError } from '@filesync/protocol'
import type { FileSyncError } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { formatDuration, jsonLine, printable } from '@filesync/program'
import { writeReport } from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import { createProgressLine, describeProgress } from '../status/progress-line.ts'
import type { ProgressLine } from '../status/progress-line.ts'
import { canRetry } from '../push/push-once.ts'
import type { RunWatcher } from '../push/push-once.ts'
import { describeResult, exitCodeOf, failedResult, withAdvice } from '../push/push-result.ts'
import type { PushResult } from '../push/push-result.ts'
import { Pusher } from '../pusher.ts'
import type { PusherRun } from '../pusher.ts'
import { completePushSettings } from '../settings.ts'
import type { CommonFlags, PushFlags } from '../settings.ts'
import { keepSyncing } from '../push/sync-loop.ts'

export interface StartFlags extends PushFlags {
  readonly once?: boolean
  readonly watch: boolean
}

/** Where a command runs. */
export interface CommandContext {
  readonly terminal: Terminal
  readonly signal: AbortSignal
}

/** `filesync-client push`: one run; its outcome is the exit code and, with `--json`, the last line. */
export async function push (directory: string | undefined, flags: PushFlags, { terminal, signal }: CommandContext): Promise<number> {
  const pusher = await openForRuns(directory, flags, terminal)
  const line = createProgressLine(terminal.stderr, flags.quiet === true)
  try {
    const { result, error, notKept } = await pusher.run(watcher(line), { waitForSettled: true, signal })
    line.clear()
    if (flags.json === true) terminal.stdout.write(jsonLine(result))
    if (error !== undefined) throw withAdvice(error)
    if (flags.json !== true) tellResult(result, flags, terminal)
    tellNotKept(notKept, terminal)
    return exitCodeOf(result)
  } finally {
    await pusher.close()
  }
}

/** `filesync-client start`: pushes now, and again whenever the server says or the tree changes, until it is stopped. */
export async function start (directory: string | undefined, flags: StartFlags, context: CommandContext): Promise<number> {
  if (flags.once === true) return await push(directory, flags, context)
  const { terminal, signal } = context
  const pusher = await openForRuns(directory, flags, terminal)
  if (pusher.metricsPort !== undefined && flags.quiet !== true) terminal.stderr.write(`filesync-client: metrics are at http://${flags.metrics?.host ?? ''}:${pusher.metricsPort}/metrics\n`)
  const line = createProgressLine(terminal.stderr, flags.quiet === true)
  // Otherwise what is watched would keep a program alive that has ended with an error.
  const over = new AbortController()
  const watching = flags.watch ? pusher.watch(AbortSignal.any([signal, over.signal])) : undefined
  // Ends with the signal; a tree that cannot be watched is walked at an interval, and status says so.
  watching?.catch(() => { /* told by the signal */ })
  try {
    throw await keepSyncing({
      run: async () => {
        const run = await pusher.run(watcher(line), { waitForSettled: false, signal })
        signal.throwIfAborted()
        line.clear()
        // The error that ends the loop is told by the program.
        if (flags.json === true || run.error === undefined || canRetry(run.error)) tellRun(run, flags, terminal)
        return run.error === undefined
          ? { kind: 'done', nextInMs: run.nextInMs, isStale: run.stale.size > 0 }
          : { kind: 'failed', error: run.error, canRetry: canRetry(run.error) }
      },
      nextChange: async over => { await pusher.nextChange(over) },
      onWait: (delayMs, failure) => {
        pusher.record.activity = { doing: 'waiting', untilMs: systemClock.nowMs() + delayMs }
        line.show(`${failure === undefined ? 'next sync' : 'trying again'} in ${formatDuration(delayMs)}`)
      },
      random: Math.random,
      clock: systemClock,
      signal,
    })
  } catch (error) {
    if (signal.aborted) return 0
    throw error
  } finally {
    over.abort()
    await watching?.catch(() => { /* it was ended */ })
    line.clear()
    await pusher.close()
  }
}

/** With `--json` the last line comes also where no run could start. */
async function openForRuns (directory: string | undefined, flags: PushFlags, terminal: Terminal): Promise<Pusher> {
  try {
    return await openPusher(directory, flags, terminal)
  } catch (error) {
    if (flags.json === true) terminal.stdout.write(jsonLine(failedResult(asFileSyncError(error), { bytesSent: 0, bytesReceived: 0, durationMs: 0 })))
    throw error
  }
}

/** What the commands open that compare a directory with the archive. Throws USAGE, and what `Pusher.open` throws. */
export async function openPusher (directory: string | undefined, flags: PushFlags, terminal: Terminal): Promise<Pusher> {
  const settings = await completePushSettings(directory, flags, terminal)
  if (settings.legacy !== undefined && flags.quiet !== true) {
    terminal.stderr.write('filesync-client: --legacy is UNPROTECTED: nothing is encrypted, and whoever answers at that address gets the files.\n')
  }
  return await Pusher.open(settings, systemClock)
}

/** Shows in one line what a run is doing. */
export function watcher (line: ProgressLine): RunWatcher {
  return {
    onBusy: (position, estimateMs) => {
      line.show(`waiting for the server: place ${position} in the queue${estimateMs === undefined ? '' : `, about ${formatDuration(estimateMs)}`}`)
    },
    onReady: status => { line.show(`connected to ${printable(status.serverName)}; comparing`) },
    onProgress: progress => { line.show(describeProgress(progress)) },
  }
}

function tellNotKept (notKept: FileSyncError | undefined, terminal: Terminal): void {
  if (notKept !== undefined) terminal.stderr.write(`filesync-client: ${printable(notKept.message)}\n`)
}

function tellResult (result: PushResult, { quiet }: CommonFlags, terminal: Terminal): void {
  writeReport(terminal, `${describeResult(result)}\n`, { quiet, isTrouble: result.result !== 'ok' })
}

function tellRun ({ result, error, notKept }: PusherRun, flags: CommonFlags, terminal: Terminal): void {
  if (flags.json === true) terminal.stdout.write(jsonLine(result))
  else if (error !== undefined) terminal.stderr.write(`filesync-client: ${printable(error.message)}\n`)
  else tellResult(result, flags, terminal)
  tellNotKept(notKept, terminal)
}
