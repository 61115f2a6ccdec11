import { asFileSyncError } from '@filesync/protocol'
import type { FileSyncError } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { formatDuration, jsonLine, printable } from '@filesync/program'
import { writeReport } from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import { createProgressLine, describeEstimate, describeProgress } from '../status/progress-line.ts'
import type { ProgressLine } from '../status/progress-line.ts'
import { canRetry } from '../push/push-once.ts'
import type { RunWatcher } from '../push/push-once.ts'
import { describeResult, exitCodeOf, failedResult, withAdvice } from '../push/push-result.ts'
import type { PushResult } from '../push/push-result.ts'
import { PushClient } from '../push-client.ts'
import type { PushClientRun } from '../push-client.ts'
import { completePushSettings } from '../settings.ts'
import type { ClientFlags, PushFlags } from '../settings.ts'
import { keepSyncing } from '../push/sync-loop.ts'

export interface ClientStartFlags extends PushFlags {
  readonly once?: boolean
  readonly watch: boolean
}

/** What the environment provides to a command. */
export interface CommandContext {
  readonly terminal: Terminal
  readonly signal: AbortSignal
}

/** `filesync-client push`: one run. Resolves with the exit code; with `--json` the last line of output is the result. */
export async function push (folders: readonly string[], flags: PushFlags, { terminal, signal }: CommandContext): Promise<number> {
  const client = await openForRuns(folders, flags, terminal)
  const line = createProgressLine(terminal.stderr, flags.quiet === true)
  try {
    const { result, error, notSaved } = await client.run(showProgress(line), { waitForSettled: true, signal })
    line.clear()
    if (flags.json === true) terminal.stdout.write(jsonLine(result))
    if (error !== undefined) throw withAdvice(error)
    if (flags.json !== true) printResult(result, flags, terminal)
    warnNotSaved(notSaved, terminal)
    return exitCodeOf(result)
  } finally {
    await client.close()
  }
}

/** `filesync-client start`: pushes now, and again whenever the server asks or the tree changes, until it is stopped. */
export async function start (folders: readonly string[], flags: ClientStartFlags, context: CommandContext): Promise<number> {
  if (flags.once === true) return await push(folders, flags, context)
  const { terminal, signal } = context
  const client = await openForRuns(folders, flags, terminal)
  if (client.metricsPort !== undefined && flags.quiet !== true) {
    terminal.stderr.write(`filesync-client: metrics are served at http://${flags.metrics?.host ?? ''}:${client.metricsPort}/metrics\n`)
  }
  const line = createProgressLine(terminal.stderr, flags.quiet === true)
  // Aborted at the end: a watcher that is still open would keep the process alive after an error.
  const over = new AbortController()
  const watching = flags.watch ? client.watch(AbortSignal.any([signal, over.signal])) : undefined
  // Rejects only when it is aborted: a tree that cannot be watched is scanned at an interval, and `status` says so.
  watching?.catch(() => { /* aborted */ })
  try {
    throw await keepSyncing({
      run: async () => {
        const run = await client.run(showProgress(line), { waitForSettled: false, signal })
        signal.throwIfAborted()
        line.clear()
        // The program prints the error that ends the loop.
        if (flags.json === true || run.error === undefined || canRetry(run.error)) printRun(run, flags, terminal)
        return run.error === undefined
          ? { kind: 'done', nextInMs: run.nextInMs, isStale: run.stale.size > 0 }
          : { kind: 'failed', error: run.error, canRetry: canRetry(run.error) }
      },
      nextChange: async over => { await client.nextChange(over) },
      onWait: (delayMs, failure) => {
        client.record.activity = { doing: 'waiting', untilMs: systemClock.nowMs() + delayMs }
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
    await watching?.catch(() => { /* aborted */ })
    line.clear()
    await client.close()
  }
}

/** As {@link openClient}; with `--json` the last line of output is a result even if no run could start. */
async function openForRuns (folders: readonly string[], flags: PushFlags, terminal: Terminal): Promise<PushClient> {
  try {
    return await openClient(folders, flags, terminal)
  } catch (error) {
    const noCost = { bytesSent: 0, bytesReceived: 0, durationMs: 0 }
    if (flags.json === true) terminal.stdout.write(jsonLine(failedResult(asFileSyncError(error), noCost)))
    throw error
  }
}

/** Opens a client for the folders to push. Throws USAGE, and what {@link PushClient.open} throws. */
export async function openClient (folders: readonly string[], flags: PushFlags, terminal: Terminal): Promise<PushClient> {
  const settings = await completePushSettings(folders, flags, terminal)
  if (settings.legacy !== undefined && flags.quiet !== true) {
    terminal.stderr.write('filesync-client: --legacy is UNPROTECTED: nothing is encrypted, ' +
      'and any machine that answers at that address receives the files.\n')
  }
  return await PushClient.open(settings, systemClock)
}

/** Shows on one line what a run is doing. */
export function showProgress (line: ProgressLine): RunWatcher {
  return {
    onBusy: (position, estimateMs) => {
      line.show(`waiting for the server: position ${position} in the queue${describeEstimate(estimateMs)}`)
    },
    onReady: status => { line.show(`connected to ${printable(status.serverName)}; comparing`) },
    onProgress: progress => { line.show(describeProgress(progress)) },
  }
}

function warnNotSaved (notSaved: FileSyncError | undefined, terminal: Terminal): void {
  if (notSaved !== undefined) terminal.stderr.write(`filesync-client: ${printable(notSaved.message)}\n`)
}

function printResult (result: PushResult, { quiet }: ClientFlags, terminal: Terminal): void {
  writeReport(terminal, `${describeResult(result)}\n`, { quiet, isTrouble: result.result !== 'ok' })
}

function printRun ({ result, error, notSaved }: PushClientRun, flags: ClientFlags, terminal: Terminal): void {
  if (flags.json === true) terminal.stdout.write(jsonLine(result))
  else if (error !== undefined) terminal.stderr.write(`filesync-client: ${printable(error.message)}\n`)
  else printResult(result, flags, terminal)
  warnNotSaved(notSaved, terminal)
}
