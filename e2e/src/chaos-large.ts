import { createCipheriv } from 'node:crypto'
import { mkdir, open, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '@filesync/protocol/testing'
import { CountingRelay } from './counting-relay.ts'
import { CLIENT_PROGRAM, mirrorOf, Stage } from './programs.ts'
import type { RunningServer } from './programs.ts'
import { treeDifferences } from './trees.ts'

export interface ChaosLargeInit {
  readonly seed: number
  /** How many processes are killed. */
  readonly kills: number
  readonly sizeBytes: number
  /** How many kills hit one transfer before it may come to its end. */
  readonly killsPerTransfer: number
  /** As `--limit` takes it. */
  readonly limit?: string
  readonly onProgress?: (text: string) => void
}

export interface ChaosLargeReport {
  readonly clientKills: number
  readonly serverKills: number
  readonly transfers: number
  /** What was sent beyond what a transfer without kills takes, for one kill: of all, and of the worst transfer. */
  readonly extraBytesPerKill: number
  readonly worstExtraBytesPerKill: number
}

/** Of the file, what one kill may cost. */
const EXTRA_SHARE = 0.03
/** Some kills hit the start of a program or its handshake. */
const OFF_THE_WIRE_SHARE = 0.2
const OFF_THE_WIRE_MS = 800
/** Versions are kept, so an archive that went on would fill the disk. */
const FILES_PER_STAGE = 2
const PIECE_BYTES = 8 << 20

/**
 * Pushes one large file while clients and servers are killed at random moments of its transfer, until it has arrived; then
 * another one, until all kills are used. Checks after each that the archive is equal to the tree, and that a kill cost less
 * than 3 % of the file in bytes that were sent again. Throws an error that names the seed where something does not hold.
 */
export async function chaosLarge (init: ChaosLargeInit): Promise<ChaosLargeReport> {
  const run = new ChaosLarge(init)
  try {
    return await run.run()
  } catch (error) {
    throw new Error(`chaos of a large file with seed ${init.seed}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}

/** A stage with a relay between its client and its server. */
interface Scene {
  readonly stage: Stage
  readonly relay: CountingRelay
  readonly source: string
  server: RunningServer
}

class ChaosLarge {
  readonly #init: ChaosLargeInit
  readonly #random: () => number
  #clientKills = 0
  #serverKills = 0
  #transfers = 0
  #extraBytes = 0
  #worstExtraBytes = 0
  #generation = 0

  constructor (init: ChaosLargeInit) {
    this.#init = init
    this.#random = seededRandom(init.seed)
  }

  get #kills (): number {
    return this.#clientKills + this.#serverKills
  }

  async run (): Promise<ChaosLargeReport> {
    while (this.#kills < this.#init.kills) await this.#onOneStage()
    return {
      clientKills: this.#clientKills,
      serverKills: this.#serverKills,
      transfers: this.#transfers,
      extraBytesPerKill: Math.round(this.#extraBytes / this.#kills),
      worstExtraBytesPerKill: Math.round(this.#worstExtraBytes),
    }
  }

  async #onOneStage (): Promise<void> {
    const stage = await Stage.open()
    const relay = await CountingRelay.open()
    try {
      const source = stage.path('source')
      await mkdir(source)
      const scene = { stage, relay, source, server: await stage.startServer() }
      relay.targetPort = scene.server.listening.port
      await stage.pair(scene.server, 'client')
      for (let files = 0; files < FILES_PER_STAGE && this.#kills < this.#init.kills; files++) {
        await this.#change(source)
        await this.#transfer(scene)
      }
    } finally {
      await stage.dispose()
      await relay.close()
    }
  }

  async #change (source: string): Promise<void> {
    this.#generation++
    for (const path of await readdir(source)) await rm(join(source, path))
    await writeNoise(join(source, `large-${this.#generation}`), this.#init.sizeBytes, this.#init.seed + this.#generation)
    for (let i = 0; i < 5; i++) await writeFile(join(source, `small-${i}`), `${this.#generation}: ${this.#random()}`)
    // Long past, so that nothing waits to settle.
    const seconds = 1_600_000_000 + this.#generation
    for (const path of await readdir(source)) await utimes(join(source, path), seconds, seconds)
  }

  async #transfer (scene: Scene): Promise<void> {
    const { relay, source } = scene
    const [before, killsBefore] = [relay.sentBytes, this.#kills]
    const most = Math.min(this.#init.kills, killsBefore + this.#init.killsPerTransfer)
    let isWhole = false
    while (!isWhole && this.#kills < most) isWhole = await this.#pushAndKill(scene, before + this.#init.sizeBytes)
    if (!isWhole) {
      const pushed = await scene.stage.run(CLIENT_PROGRAM, this.#pushArgs(scene))
      if (pushed.code !== 0) throw new Error(`a push ended with ${pushed.code}: ${pushed.stderr}`)
    }
    await expectEqual(scene)
    this.#transfers++
    const kills = this.#kills - killsBefore
    // Frames, TLS and the small files take less than a hundredth; a kill each its handshake and its listings.
    const extraBytes = Math.max(0, relay.sentBytes - before - this.#init.sizeBytes)
    this.#extraBytes += extraBytes
    if (kills === 0) return
    this.#worstExtraBytes = Math.max(this.#worstExtraBytes, extraBytes / kills)
    const share = extraBytes / kills / this.#init.sizeBytes
    this.#init.onProgress?.(
      `${this.#kills} of ${this.#init.kills} kills, ${kills} in this transfer at ${(share * 100).toFixed(2)} % of the file each`
    )
    if (share >= EXTRA_SHARE)
      throw new Error(`a kill of ${source} cost ${(share * 100).toFixed(2)} % of the file (${extraBytes} bytes for ${kills} kills)`)
  }

  #pushArgs ({ source, relay, stage }: Scene): string[] {
    const limit = this.#init.limit === undefined ? [] : ['--limit', this.#init.limit]
    return ['push', source, '--json', '--server', `127.0.0.1:${relay.port}`, ...limit, ...stage.clientArgs('client')]
  }

  /** Whether the push came to its end before it was killed. */
  async #pushAndKill (scene: Scene, wholeAtBytes: number): Promise<boolean> {
    const client = scene.stage.start(CLIENT_PROGRAM, this.#pushArgs(scene))
    const ended = new Promise<number | null>(resolve => { client.once('exit', resolve) })
    await this.#momentOfKill(scene.relay, ended, wholeAtBytes)
    if (client.exitCode !== null) {
      if (client.exitCode !== 0) throw new Error(`a push that nobody killed ended with ${client.exitCode}`)
      return true
    }
    if (this.#random() < 0.5) {
      this.#clientKills++
      await scene.stage.stop(client, 'SIGKILL')
      return false
    }
    this.#serverKills++
    await scene.stage.stop(scene.server.child, 'SIGKILL')
    const [server, code] = await Promise.all([scene.stage.startServer(), ended])
    scene.server = server
    scene.relay.targetPort = server.listening.port
    return code === 0
  }

  /** Resolves at a random moment, or when the push has ended. */
  async #momentOfKill (relay: CountingRelay, ended: Promise<unknown>, wholeAtBytes: number): Promise<void> {
    const over = new AbortController()
    void ended.then(() => { over.abort() })
    const laterMs = this.#random() * OFF_THE_WIRE_MS
    if (this.#random() < OFF_THE_WIRE_SHARE) {
      await Promise.race([ended, sleep(laterMs)])
      return
    }
    // On the average half of the kills of a transfer get it to its end, so some come after its last byte.
    const gapBytes = 4 * this.#init.sizeBytes / this.#init.killsPerTransfer
    const atBytes = relay.sentBytes + this.#random() * gapBytes
    await relay.passed(Math.min(atBytes, wholeAtBytes), over.signal)
    // Then it hits the time after the last byte, while the file is verified, flushed and moved into place.
    if (atBytes > wholeAtBytes) await Promise.race([ended, sleep(laterMs / 2)])
  }
}

async function expectEqual ({ source, server, stage }: Scene): Promise<void> {
  const differences = await treeDifferences(source, mirrorOf(server, 'client', source))
  if (differences.length > 0) throw new Error(`the archive differs after a whole sync: ${differences.slice(0, 3).join('; ')}`)
  for (const left of ['staging', 'partial']) {
    const found = await readdir(join(server.archive, '.filesync', left), { recursive: true, withFileTypes: true }).catch(() => [])
    const files = found.filter(entry => entry.isFile())
    if (files.length > 0) throw new Error(`${files.length} files are left in ${left} of ${stage.root}`)
  }
}

/** Bytes that do not compress and do not repeat, the same for the same seed. */
async function writeNoise (path: string, sizeBytes: number, seed: number): Promise<void> {
  const key = Buffer.alloc(16)
  key.writeUInt32BE(seed >>> 0)
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16))
  const zeros = Buffer.alloc(Math.min(PIECE_BYTES, sizeBytes))
  const file = await open(path, 'w')
  try {
    for (let left = sizeBytes; left > 0; left -= zeros.length)
      await file.writeFile(cipher.update(zeros.subarray(0, Math.min(left, zeros.length))))
  } finally {
    await file.close()
  }
}
