import { randomBytes } from 'node:crypto'
import { readdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Site } from '../src/network-site.ts'
import { whyNoMachines } from '../src/network-wire.ts'
import type { Machine, Running } from '../src/network-wire.ts'
import { describeTree } from '../src/trees.ts'

/** A dead connection is noticed after `idleTimeoutMs`, which is long for a test that everybody runs. */
const SLOW = process.env['FILESYNC_TEST_SLOW'] !== undefined

const noMachines = whyNoMachines()
if (noMachines !== undefined) console.warn(`Skipped: machines whose network comes and goes, because ${noMachines}`)

describe.skipIf(noMachines !== undefined)('a client that keeps running', () => {
  let site: Site
  let nas: Machine
  let laptop: Machine
  beforeEach(async () => {
    site = await Site.open()
    nas = site.wire.machine('10.0.0.1/24')
    laptop = site.wire.machine('10.0.0.2/24')
    await site.introduce('laptop', 'nas')
  })
  afterEach(async () => { await site.dispose() })

  async function store (name: string, content: string | Uint8Array = name): Promise<void> {
    const path = join(await site.source(), name)
    await writeFile(path, content)
    await utimes(path, 1_700_000_000, 1_700_000_000)
  }

  async function start (...args: string[]): Promise<Running> {
    return await site.startClient(laptop, 'laptop', args)
  }

  /** A machine moves to another network; its old address is nobody's. */
  function readdress (machine: Machine, from: string, to: string): void {
    machine.ip('address', 'delete', from, 'dev', 'fst0')
    machine.ip('address', 'add', to, 'dev', 'fst0')
  }

  /** What has arrived and has no place yet. */
  async function stagedBytes (): Promise<number> {
    const staged = await readdir(site.path('nas-archive', '.filesync', 'partial'), { recursive: true, withFileTypes: true }).catch(() => [])
    const sizes = await Promise.all(
      staged
        .filter(entry => entry.isFile())
        .map(
          async entry =>
            await stat(join(entry.parentPath, entry.name)).then(
              ({ size }) => size,
              () => 0
            )
        )
    )
    return sizes.reduce((sum, size) => sum + size, 0)
  }

  const isStored = async (name: string): Promise<boolean> =>
    await stat(site.path('nas-archive', 'laptop', 'source', name)).then(
      () => true,
      () => false
    )
  const arrives = async (name: string): Promise<void> => {
    await expect.poll(async () => await isStored(name), { timeout: 40_000, interval: 50 }).toBe(true)
  }

  test('goes on when its own address changes, and when the server comes back with another address and port', async () => {
    const first = await site.serve(nas, 'nas', { args: ['--interval', '1'] })
    await store('one')
    const client = await start()
    await client.line(({ result, filesSent }) => result === 'ok' && filesSent === 1)
    readdress(laptop, '10.0.0.2/24', '10.0.0.77/24')
    await store('two')
    await arrives('two')
    await first.running.stop()
    readdress(nas, '10.0.0.1/24', '10.0.0.99/24')
    await store('three')
    await site.serve(nas, 'nas', { args: ['--interval', '1', '--port', String(first.port === 4433 ? 4434 : 4433)] })
    await arrives('three')
    expect(await describeTree(site.path('nas-archive', 'laptop', 'source'))).toEqual(await describeTree(await site.source()))
  }, 60_000)

  test.runIf(SLOW)('goes on with a file whose connection was cut without a word, from another address', async () => {
    await site.serve(nas, 'nas', { args: ['--interval', '1'] })
    await store('large', randomBytes(3_000_000))
    const client = await start('--limit', '500k')
    await expect.poll(stagedBytes, { timeout: 30_000, interval: 50 }).toBeGreaterThan(500_000)
    laptop.ip('link', 'set', 'fst0', 'down')
    await client.line(({ code }) => code === 'PEER_TIMEOUT' || code === 'PEER_GONE')
    readdress(laptop, '10.0.0.2/24', '10.0.0.77/24')
    laptop.ip('link', 'set', 'fst0', 'up')
    const result = await client.line(({ result }) => result === 'ok')
    // What had arrived before is not sent again.
    expect(result['bytesSent']).toBeLessThan(2_600_000)
    expect(await describeTree(site.path('nas-archive', 'laptop', 'source'))).toEqual(await describeTree(await site.source()))
  }, 120_000)
})
