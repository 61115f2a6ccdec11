import { serveControl } from '@filesync/program/node'
import type { ControlServer } from '@filesync/program/node'
import type { Clock } from '@filesync/protocol'
import type { Scanner } from '@filesync/scanner'
import { openScanner } from '@filesync/scanner/node'
import type { FileSource } from '@filesync/transfer'
import { openFileSource } from '@filesync/transfer/node'
import { openClientState } from './client-state.ts'
import type { ClientState } from './client-state.ts'
import { pushOnce } from './push-once.ts'
import type { PushRun, RunWatcher } from './push-once.ts'
import { recallScan, rememberScan } from './scan-memory-file.ts'
import type { PushSettings } from './settings.ts'
import { SOFTWARE } from './software.ts'

/** What one client needs to push one directory, open from its first run to its last. */
export class Pusher {
  readonly #settings: PushSettings
  readonly #state: ClientState
  readonly #scanner: Scanner
  readonly #source: FileSource
  readonly #control: ControlServer
  readonly #clock: Clock

  private constructor (settings: PushSettings, parts: { state: ClientState, scanner: Scanner, source: FileSource, control: ControlServer, clock: Clock }) {
    this.#settings = settings
    this.#state = parts.state
    this.#scanner = parts.scanner
    this.#source = parts.source
    this.#control = parts.control
    this.#clock = parts.clock
  }

  /** Opens the directory and the state. Throws SOURCE_UNAVAILABLE, STATE_IN_USE, KEY_EXPOSED and the like. */
  static async open (settings: PushSettings, clock: Clock): Promise<Pusher> {
    const { root, stateDir, ignoreFile, builtInIgnores, settleMs } = settings
    const memory = settings.acceptSource ? undefined : await recallScan(stateDir, root)
    const ignore = { builtIn: builtInIgnores, ...(ignoreFile !== undefined && { file: ignoreFile }) }
    const scanner = await openScanner({ root, settleMs, clock, ignore, ...(memory !== undefined && { memory }) })
    try {
      const state = await openClientState(stateDir)
      // Two runs with one identity would push each other out of the queue.
      const control = await serveControl(stateDir, { 'GET /status': () => ({ directory: root }) })
      return new Pusher(settings, { state, scanner, source: openFileSource({ root }), control, clock })
    } catch (error) {
      await scanner.close()
      throw error
    }
  }

  /** One run. `waitForSettled` waits for files that are being written instead of leaving them for the next run. */
  async run (watcher: RunWatcher, { waitForSettled, signal }: { waitForSettled: boolean, signal: AbortSignal }): Promise<PushRun> {
    const { server, interfaces, limitBytesPerSecond, compression, stateDir, root } = this.#settings
    const run = await pushOnce({
      ...this.#state,
      ...watcher,
      server,
      interfaces,
      limitBytesPerSecond,
      compression,
      scan: async over => await this.#scanner.scan({ waitForSettled, signal: over }),
      source: this.#source,
      software: SOFTWARE,
      clock: this.#clock,
      signal,
    })
    const { memory } = this.#scanner
    if (run.error === undefined && memory !== undefined) await rememberScan(stateDir, root, memory)
    return run
  }

  /** Resolves when the tree has changed and become quiet. */
  async nextChange (signal: AbortSignal): Promise<void> {
    for await (const _change of this.#scanner.watch({ signal })) return
  }

  async close (): Promise<void> {
    await Promise.all([this.#control.close(), this.#source.close(), this.#scanner.close()])
  }
}
