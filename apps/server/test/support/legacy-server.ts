import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openArchive } from '@filesync/archive/node'
import type { Archive } from '@filesync/archive'
import { asFileSyncError } from '@filesync/protocol'
import { LegacyChannel } from '@filesync/protocol/legacy'
import type { Clock } from '@filesync/protocol'
import type { LegacyThrottle } from '@filesync/protocol/legacy'
import { createHasher, hashBytes, systemClock } from '@filesync/protocol/node'
import { memoryStreamPair } from '@filesync/protocol/testing'
import type { MemoryStreamInit } from '@filesync/protocol/testing'
import { expect } from 'vitest'
import { ClientMemory } from '../../src/legacy/client-memory.ts'
import { serveLegacySession } from '../../src/legacy/serve-session.ts'
import type { LegacyDependencies, LegacyReport } from '../../src/legacy/serve-session.ts'
import { SessionQueue } from '../../src/schedule/session-queue.ts'
import { info, sendFile, Wire } from './legacy-client.ts'
import { UTC } from './time.ts'
import type { Files } from './legacy-client.ts'

// On a RAM disk, flushing costs nothing.
const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
const ADDRESS = '192.168.1.7'

/**
 * An archive that serves sessions of the original protocol. Opening an archive starts threads, which takes longer than most tests, so
 * a test file opens one, and each test is another client of it.
 */
export class LegacyServer {
  /** Contains the archive, and beside it a file `canary` with the content `untouched`. */
  readonly root: string
  readonly archiveRoot: string
  readonly archive: Archive
  /** The id of this test's client. */
  id = ''
  deps: LegacyDependencies
  #clients = 0
  #ports = 0

  private constructor (root: string, archiveRoot: string, archive: Archive) {
    this.root = root
    this.archiveRoot = archiveRoot
    this.archive = archive
    this.deps = this.dependencies(systemClock)
  }

  static async open (): Promise<LegacyServer> {
    const root = await mkdtemp(join(SCRATCH, 'filesync-legacy-'))
    const archiveRoot = join(root, 'archive')
    await writeFile(join(root, 'canary'), 'untouched')
    const archive = await openArchive({
      root: archiveRoot,
      keepMs: 86_400_000,
      deletions: 'mirror',
      reserveBytes: 0,
      clock: systemClock,
      signal: new AbortController().signal,
    })
    return new LegacyServer(root, archiveRoot, archive)
  }

  async close (): Promise<void> {
    await this.archive.close()
    await rm(this.root, { recursive: true })
  }

  /** Switches to another client, and a server that remembers none. */
  nextClient (): void {
    this.id = `pc-${++this.#clients}`
    this.deps = this.dependencies(systemClock)
  }

  dependencies (clock: Clock): LegacyDependencies {
    return {
      queue: new SessionQueue({ maxActive: 1, maxWaiting: 4, clock }),
      areas: () => this.archive.areas(),
      openArea: async name => await this.archive.area(name),
      memory: new ClientMemory(),
      hash: hashBytes,
      createHasher,
      clock,
      zone: UTC,
      signal: new AbortController().signal,
      nextSyncInMs: () => 60_000,
    }
  }

  connect (
    init: MemoryStreamInit = {}, deps: LegacyDependencies = this.deps, pace?: LegacyThrottle,
  ): { readonly wire: Wire, readonly session: Promise<LegacyReport> } {
    const [theirs, ours] = memoryStreamPair(init)
    const channel = new LegacyChannel(ours, deps.clock, pace)
    const session = serveLegacySession(channel, { address: ADDRESS, port: ++this.#ports }, deps).catch((error: unknown) => {
      channel.destroy(asFileSyncError(error))
      throw error
    })
    session.catch(() => { /* awaited in the test */ })
    return { wire: new Wire(theirs), session }
  }

  /** CLIENT_FILES_INFO, of this test's client by default. */
  info (files: Files, clientId: string | null = this.id): string {
    return info(files, clientId)
  }

  /** Runs a whole session as the original client does. Returns the requested paths and the server's report. */
  async sync (
    files: Files, init: MemoryStreamInit & { readonly id?: string | null } = {},
  ): Promise<{ readonly asked: string[], readonly report: LegacyReport }> {
    const { wire, session } = this.connect(init)
    expect(await wire.until('}')).toBe('{"type":"SERVER_STATUS_MESSAGE","status":"READY"}')
    await wire.send(info(files, init.id === undefined ? this.id : init.id))
    const reply = await wire.until('\n')
    expect(new TextEncoder().encode(reply).length).toBeLessThanOrEqual(8192)
    const tasks = JSON.parse(reply) as { type: string, files_to_send: string[] }
    expect(Object.keys(tasks)).toEqual(['type', 'files_to_send'])
    const asked = new Set(tasks.files_to_send)
    for (const [path, file] of Object.entries(files)) if (asked.has(path)) await sendFile(wire, path, file)
    expect(await wire.rest()).toMatch(/^\{"type":"NEXT_SYNC","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}"\}$/u)
    return { asked: [...asked], report: await session }
  }

  /** The content of a file in the archive. */
  async stored (path: string, area = `client_${this.id}`): Promise<string> {
    return await readFile(join(this.archiveRoot, 'legacy', area, path), 'utf8')
  }

  /** All paths of a client in the archive. */
  async names (area = `client_${this.id}`): Promise<string[]> {
    return (await readdir(join(this.archiveRoot, 'legacy', area), { recursive: true })).sort()
  }
}
