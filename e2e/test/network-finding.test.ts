import { readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { Site } from '../src/network-site.ts'
import { whyNoFirewall, whyNoMachines } from '../src/network-wire.ts'
import { CLIENT_PROGRAM, SERVER_PROGRAM } from '../src/programs.ts'
import { describeTree } from '../src/trees.ts'

const FORGER = fileURLToPath(new URL('../src/network-forger.ts', import.meta.url))
const DISCOVERY = 'udp dport 9999'
const MULTICAST_DNS = 'udp dport 5353'

const noMachines = whyNoMachines()
if (noMachines !== undefined) console.warn(`Skipped: programs on machines of their own, because ${noMachines}`)
const noFirewall = whyNoFirewall()
if (noFirewall !== undefined) console.warn(`Skipped: programs behind a firewall, because ${noFirewall}`)

async function store (site: Site, name: string): Promise<void> {
  const path = join(await site.source(), name)
  await writeFile(path, 'with content')
  // A time that every file system keeps as it is.
  await utimes(path, 1_700_000_000, 1_700_000_000)
}

/** A test on a wire of its own, so that several can wait at the same time. */
function on (act: (site: Site) => Promise<void>): () => Promise<void> {
  return async () => {
    const site = await Site.open()
    try {
      await act(site)
    } finally {
      await site.dispose()
    }
  }
}

// By itself, because it is measured.
describe.skipIf(noMachines !== undefined)('a client finds its server', () => {
  test('in under a second', on(async site => {
    const nas = site.wire.machine('10.0.0.1/24')
    const laptop = site.wire.machine('10.0.0.2/24')
    await site.introduce('laptop', 'nas')
    const { port } = await site.serve(nas, 'nas')
    // A run's own measure, from the start of the search to the end of the session; the session of an empty tree takes as long
    // with the search as without. A second run would know the address.
    const searching = await site.push(laptop, 'laptop')
    expect(searching, searching.stderr).toMatchObject({ code: 0 })
    const told = await site.push(laptop, 'laptop', ['--server', `10.0.0.1:${port}`])
    const foundMs = searching.result.durationMs - told.result.durationMs
    console.log(`found in ${foundMs} ms: ${searching.result.durationMs} ms with the search, ${told.result.durationMs} ms without`)
    expect(foundMs).toBeLessThan(1_000)
  }))
})

describe.skipIf(noMachines !== undefined).concurrent('a client finds its server', () => {
  test('from two machines that know nothing of each other to a stored file, with one code and no address', on(async site => {
    const nas = site.wire.machine('10.0.0.1/24')
    const laptop = site.wire.machine('10.0.0.2/24')
    await site.serve(nas, 'nas')
    const shown = await nas.run(SERVER_PROGRAM, ['pair', '--json', '--state-dir', site.path('nas')])
    const { code } = JSON.parse(shown.stdout) as { code: string }
    const paired = await laptop.run(CLIENT_PROGRAM, ['pair', '--code-stdin', '--id', 'laptop', '--state-dir', site.path('laptop')], {
      input: `${code}\n`,
    })
    expect(paired.code, paired.stderr).toBe(0)
    await store(site, 'a file')
    const pushed = await site.push(laptop, 'laptop')
    expect(pushed, pushed.stderr).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 1 } })
    expect(await describeTree(site.path('nas-archive', 'laptop', 'source'))).toEqual(await describeTree(await site.source()))
  }))

  test('among two servers, the one that it is paired with', on(async site => {
    const other = site.wire.machine('10.0.0.3/24')
    const nas = site.wire.machine('10.0.0.1/24')
    const laptop = site.wire.machine('10.0.0.2/24')
    await site.introduce('laptop', 'nas')
    await Promise.all([site.serve(other, 'other'), site.serve(nas, 'nas')])
    const pushed = await site.push(laptop, 'laptop')
    expect(pushed, pushed.stderr).toMatchObject({ code: 0, result: { result: 'ok' } })
    expect(await readdir(site.path('nas-archive'))).toContain('laptop')
    expect(await readdir(site.path('other-archive'))).not.toContain('laptop')
  }))

  test('without a route for multicast', on(async site => {
    const nas = site.wire.machine('10.0.0.1/24')
    const laptop = site.wire.machine('10.0.0.2/24')
    expect(laptop.ip('route').trim()).toBe('10.0.0.0/24 dev fst0 proto kernel scope link src 10.0.0.2')
    laptop.ip('route', 'add', 'unreachable', '224.0.0.0/4')
    await site.introduce('laptop', 'nas')
    await site.serve(nas, 'nas')
    expect(await site.push(laptop, 'laptop')).toMatchObject({ code: 0 })
  }))

  test.skipIf(noFirewall !== undefined)('over a line that loses three datagrams of ten, each way', on(async site => {
    const nas = site.wire.machine('10.0.0.1/24')
    const laptop = site.wire.machine('10.0.0.2/24')
    for (const machine of [nas, laptop]) machine.drop('input', 'meta l4proto udp numgen random mod 10 < 3')
    await site.introduce('laptop', 'nas')
    await site.serve(nas, 'nas')
    const pushed = await site.push(laptop, 'laptop')
    expect(pushed, pushed.stderr).toMatchObject({ code: 0 })
  }))

  test('when its interface was down for a while, without anybody doing anything', on(async site => {
    const nas = site.wire.machine('10.0.0.1/24')
    const laptop = site.wire.machine('10.0.0.2/24')
    await site.introduce('laptop', 'nas')
    await site.serve(nas, 'nas', { args: ['--interval', '1'] })
    const client = await site.startClient(laptop, 'laptop')
    await client.line(({ result }) => result === 'ok')
    laptop.ip('link', 'set', 'fst0', 'down')
    await client.line(({ result }) => result === 'failed')
    await store(site, 'while it was down')
    laptop.ip('link', 'set', 'fst0', 'up')
    await client.line(({ filesSent }) => filesSent === 1)
    expect(await describeTree(site.path('nas-archive', 'laptop', 'source'))).toEqual(await describeTree(await site.source()))
  }))

  test('that was started again on another port, and then has another address', on(async site => {
    const nas = site.wire.machine('10.0.0.1/24')
    const laptop = site.wire.machine('10.0.0.2/24')
    await site.introduce('laptop', 'nas')
    const first = await site.serve(nas, 'nas')
    expect(await site.push(laptop, 'laptop')).toMatchObject({ code: 0 })
    await first.running.stop()
    const second = await site.serve(nas, 'nas', { args: ['--port', String(first.port === 4433 ? 4434 : 4433)] })
    expect(await site.push(laptop, 'laptop')).toMatchObject({ code: 0 })
    nas.ip('address', 'add', '10.0.0.99/24', 'dev', 'fst0')
    nas.ip('address', 'delete', '10.0.0.1/24', 'dev', 'fst0')
    nas.ip('address', 'replace', '10.0.0.99/24', 'dev', 'fst0')
    expect(second.port).not.toBe(first.port)
    expect(await site.push(laptop, 'laptop')).toMatchObject({ code: 0 })
  }))

  test.skipIf(noFirewall !== undefined)('by DNS-SD, where its multicast is filtered', on(async site => {
    const nas = site.wire.machine('10.0.0.1/24')
    const laptop = site.wire.machine('10.0.0.2/24')
    for (const machine of [nas, laptop]) machine.drop('input', DISCOVERY)
    await site.introduce('laptop', 'nas')
    await site.serve(nas, 'nas')
    const pushed = await site.push(laptop, 'laptop')
    expect(pushed, pushed.stderr).toMatchObject({ code: 0 })
  }))

  test.skipIf(noFirewall !== undefined)('by its name or address, where all multicast is filtered', on(async site => {
    const nas = site.wire.machine('10.0.0.1/24', 'fe80::1/64')
    const laptop = site.wire.machine('10.0.0.2/24', 'fe80::2/64')
    laptop.drop('input', DISCOVERY, MULTICAST_DNS)
    nas.drop('input', DISCOVERY, MULTICAST_DNS)
    laptop.hosts = site.path('hosts')
    await writeFile(laptop.hosts, '127.0.0.1 localhost\n10.0.0.1 nas.example\n')
    await site.introduce('laptop', 'nas')
    const { port } = await site.serve(nas, 'nas')
    for (const place of ['nas.example', '10.0.0.1', '[fe80::1%fst0]']) {
      const pushed = await site.push(laptop, 'laptop', ['--server', `${place}:${port}`])
      expect(pushed, `${place}: ${pushed.stderr}`).toMatchObject({ code: 0 })
    }
  }))

  test('while 10,000 forged questions are asked, which get no more answers than are allowed', on(async site => {
    const nas = site.wire.machine('10.0.0.1/24')
    const laptop = site.wire.machine('10.0.0.2/24')
    const forger = site.wire.machine(...Array.from({ length: 40 }, (_, index) => `10.0.0.${101 + index}/24`))
    await site.introduce('laptop', 'nas')
    await site.serve(nas, 'nas')
    const flood = forger.start(FORGER, ['flood', '10000'])
    await flood.line(({ event }) => event === 'flooding')
    const pushed = await site.push(laptop, 'laptop')
    expect(pushed, pushed.stderr).toMatchObject({ code: 0 })
    const { answers, tookMs } = await flood.line(({ event }) => event === 'flooded')
    expect(answers).toBeLessThanOrEqual(50 * Math.ceil(Number(tookMs) / 1_000 + 1))
  }))

  test('while others offer themselves in its name, at the cost of eight dials for each address', on(async site => {
    const nas = site.wire.machine('10.0.0.1/24')
    const laptop = site.wire.machine('10.0.0.2/24')
    const attacker = site.wire.machine('10.0.0.66/24', '10.0.0.67/24')
    await site.introduce('laptop', 'nas')
    // The server's own offers come too late: it starts when the client has been misled.
    const { running, idPrefix } = await site.serve(nas, 'nas')
    await running.stop()
    const forger = attacker.start(FORGER, ['forge', site.path('attacker'), idPrefix, '10'])
    await forger.line(({ event }) => event === 'forging')
    const pushing = site.push(laptop, 'laptop')
    await forger.line(({ event }) => event === 'dialled')
    await site.serve(nas, 'nas')
    const pushed = await pushing
    expect(pushed, pushed.stderr).toMatchObject({ code: 0, result: { result: 'ok' } })
    const dials = forger.lines.filter(line => line.includes('dialled')).length
    expect(dials).toBeGreaterThan(0)
    expect(dials).toBeLessThanOrEqual(16)
  }))
})
