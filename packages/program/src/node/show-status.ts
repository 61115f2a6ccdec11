import { FileSyncError } from '@filesync/protocol'
import { jsonLine, printable } from '../printable.ts'
import { shownTime } from '../shown-time.ts'
import { askControl, followControl } from './control-socket.ts'
import type { Terminal } from './terminal.ts'

/** How the `status` commands of the programs differ. */
interface StatusInit<S> {
  readonly stateDir: string
  /** Prints events as they happen instead of the current state. */
  readonly follow: boolean
  readonly json: boolean
  /** The status for people, as several lines. */
  readonly describe: (status: S, nowMs: number) => string
  /** Thrown if no program runs with this state directory. */
  readonly notRunning: Error
}

/** Asks the running program for its state, or follows its events until the signal is aborted, and prints the answer. */
export async function showStatus<S> (
  init: StatusInit<S>, { terminal, signal }: { readonly terminal: Terminal, readonly signal: AbortSignal },
): Promise<void> {
  if (init.follow) {
    await follow(init, terminal, signal)
    return
  }
  const status = await askControl(init.stateDir, 'GET /status') as S | undefined
  if (status === undefined) throw init.notRunning
  terminal.stdout.write(init.json ? jsonLine(status) : init.describe(status, Date.now()))
}

async function follow<S> ({ stateDir, json, notRunning }: StatusInit<S>, terminal: Terminal, signal: AbortSignal): Promise<void> {
  // Ends when the reader of the output does (`| head -1`): nothing else would end it.
  const unread = new AbortController()
  const over = AbortSignal.any([signal, unread.signal])
  const stop = (): void => { unread.abort(new FileSyncError('ABORTED', 'The reader of the output has gone.')) }
  for (const event of ['error', 'close']) terminal.stdout.once(event, stop)
  try {
    const events = await followControl(stateDir, 'GET /events', over)
    if (events === undefined) throw notRunning
    for await (const event of events) {
      terminal.stdout.write(json ? jsonLine(event) : `${describeEvent(event as Record<string, unknown>)}\n`)
    }
  } catch (error) {
    if (!over.aborted) throw error
  } finally {
    for (const event of ['error', 'close']) terminal.stdout.off(event, stop)
  }
}

function describeEvent ({ time, event, ...facts }: Record<string, unknown>): string {
  const words = Object.entries(facts).map(([name, value]) => `${printable(name)}=${printable(String(value))}`)
  return [typeof time === 'string' ? printable(shownTime(time)) : '', printable(String(event)), ...words].filter(Boolean).join('  ')
}
