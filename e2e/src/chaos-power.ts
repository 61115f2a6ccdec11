import { mkdir } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '@filesync/protocol/testing'
import type { PushResult } from '@filesync/client'
import { CountingRelay } from './counting-relay.ts'
import { PowerDisk } from './power-disk.ts'
import type { DiskKind } from './power-disk.ts'
import { PowerTree } from './power-tree.ts'
import { CLIENT_PROGRAM, mirrorOf, SERVER_PROGRAM, Stage } from './programs.ts'
import type { RunningServer } from './programs.ts'
import { treeDifferences } from './trees.ts'

export interface ChaosPowerInit {
  readonly seed: number
  readonly kind: DiskKind
  /** How often the power is cut. */
  readonly cuts: number
  /** Small files of the tree; there are some large ones beside them. */
  readonly files: number
  /** No cut begins after this much time. */
  readonly limitMs: number
  readonly onProgress?: (text: string) => void
}

export interface ChaosPowerReport {
  readonly cuts: number
  /** Cuts that came after a push had ended. */
  readonly tooLate: number
  /** Files that the server had said were stored, in pushes that were cut off. */
  readonly acknowledged: number
}

/** Slow enough for several batches. */
const LIMIT = '32M'
/** At most this long after a cut was due by what was sent, so that it also hits what comes after the last byte. */
const LATER_MS = 400
const CHANGED_SHARE = 0.3
const AREA = 'client'

/**
 * Cuts the power of the archive's disk at random moments while a changing tree is pushed, without a reboot of the system
 * between. After each cut a server starts on what had reached the disk, and has to hold every file that was said to be
 * stored, or a newer one; `verify` has to find all as it should be, and the next push has to end with everything stored and no problem.
 * Throws an error that names the seed if something is wrong.
 */
export async function chaosPower (init: ChaosPowerInit): Promise<ChaosPowerReport> {
  const stage = await Stage.open()
  const relay = await CountingRelay.open()
  let disk: PowerDisk | undefined
  try {
    disk = new PowerDisk(stage.path(), stage.path('server-archive'), init.kind)
    return await new ChaosPower({ stage, disk, relay }, init).run()
  } catch (error) {
    throw new Error(`power cuts of ${init.kind.name} with seed ${init.seed}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  } finally {
    await stage.stopAll()
    disk?.dispose()
    await relay.close()
    await stage.dispose()
  }
}

interface Scene {
  readonly stage: Stage
  readonly disk: PowerDisk
  /** Between the client and the server. */
  readonly relay: CountingRelay
}

class ChaosPower {
  readonly #stage: Stage
  readonly #disk: PowerDisk
  readonly #relay: CountingRelay
  readonly #init: ChaosPowerInit
  readonly #random: () => number
  readonly #tree: PowerTree
  #tooLate = 0
  #acknowledged = 0

  constructor ({ stage, disk, relay }: Scene, init: ChaosPowerInit) {
    this.#stage = stage
    this.#disk = disk
    this.#relay = relay
    this.#init = init
    this.#random = seededRandom(init.seed)
    this.#tree = new PowerTree(stage.path('source'), init.files, this.#random)
  }

  async run (): Promise<ChaosPowerReport> {
    const startedMs = performance.now()
    await mkdir(this.#tree.root)
    await this.#tree.change(1)
    let server = await this.#start()
    await this.#stage.pair(server, 'client', AREA)
    let cuts = 0
    while (cuts < this.#init.cuts && performance.now() - startedMs < this.#init.limitMs) {
      server = await this.#pushAndCut(server)
      cuts++
      await this.#pushToTheEnd(server)
      await this.#tree.change(CHANGED_SHARE)
      this.#init.onProgress?.(
        `${cuts} of ${this.#init.cuts} power cuts of ${this.#init.kind.name}, ${this.#tooLate} after the push, ` +
          `${this.#acknowledged} files reported as stored before`
      )
    }
    return { cuts, tooLate: this.#tooLate, acknowledged: this.#acknowledged }
  }

  async #start (): Promise<RunningServer> {
    const server = await this.#stage.startServer('server', ['--reserve', '0'])
    this.#relay.targetPort = server.listening.port
    return server
  }

  async #pushAndCut (server: RunningServer): Promise<RunningServer> {
    const sent = this.#relay.sentBytes
    const client = this.#stage.start(CLIENT_PROGRAM, [
      'push', this.#tree.root, '--json', '--server', `127.0.0.1:${this.#relay.port}`, '--limit', LIMIT, ...this.#stage.clientArgs('client'),
    ])
    let last = '{}'
    createInterface({ input: client.stdout }).on('line', line => { last = line })
    client.stderr.resume()
    const over = new AbortController()
    const ended = new Promise<number | null>(resolve => { client.once('close', resolve) })
    void ended.then(() => { over.abort() })
    await this.#relay.passed(sent + this.#random() * this.#tree.pendingBytes, over.signal)
    await Promise.race([ended, sleep(this.#random() * LATER_MS)])
    // What the server says from here on, it says after the cut.
    server.child.kill('SIGSTOP')
    await this.#disk.cut(async () => { await this.#stage.stop(server.child, 'SIGKILL') })
    const [restarted, code] = await Promise.all([this.#start(), ended])
    let acknowledged = 0
    if (code === 0) {
      this.#tooLate++
      this.#tree.wasStored()
    } else {
      acknowledged = (JSON.parse(last) as PushResult).filesSent
      this.#acknowledged += acknowledged
    }
    await this.#check(restarted, acknowledged)
    return restarted
  }

  async #check (server: RunningServer, acknowledged: number): Promise<void> {
    const faults = await this.#tree.faultsOf(server.archive, AREA, acknowledged)
    if (faults.length > 0) throw new Error(`after a cut, ${faults.slice(0, 5).join('; ')}`)
    const verified = await this.#stage.run(SERVER_PROGRAM, ['verify', AREA, '--state-dir', server.stateDir])
    // The very first push may have been cut off before it began.
    if (verified.code !== 0 && !/no client|nothing|unknown/iu.test(verified.stderr))
      throw new Error(`after a cut, verify ended with ${verified.code}: ${verified.stdout}${verified.stderr}`)
  }

  async #pushToTheEnd (server: RunningServer): Promise<void> {
    const pushed = await this.#stage.push('client', this.#tree.root)
    if (pushed.code !== 0) throw new Error(`a push after a cut ended with ${pushed.code}: ${pushed.stdout}${pushed.stderr}`)
    this.#tree.wasStored()
    const differences = await treeDifferences(this.#tree.root, mirrorOf(server, AREA, this.#tree.root))
    if (differences.length > 0) throw new Error(`the archive differs after a whole sync: ${differences.slice(0, 3).join('; ')}`)
  }
}
