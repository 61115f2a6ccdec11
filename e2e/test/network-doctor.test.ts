import { describe, expect, test } from 'vitest'
import { Site } from '../src/network-site.ts'
import type { Found } from '../src/network-site.ts'
import { whyNoFirewall, whyNoMachines } from '../src/network-wire.ts'
import type { Machine } from '../src/network-wire.ts'
import { CLIENT_PROGRAM, SERVER_PROGRAM } from '../src/programs.ts'

const ON_SERVER = { program: SERVER_PROGRAM }

const noMachines = whyNoMachines()
if (noMachines !== undefined) console.warn(`Skipped: programs on machines of their own, because ${noMachines}`)
const noFirewall = whyNoFirewall()
if (noFirewall !== undefined) console.warn(`Skipped: programs behind a firewall, because ${noFirewall}`)

const bad = (findings: readonly Found[]): string[] =>
  findings.filter(({ level }) => level !== 'ok').map(({ check, level }) => `${check} ${level}`)
const like = (check: string, level: string, what: RegExp, fix?: RegExp): unknown =>
  expect.objectContaining({
    check,
    level,
    what: expect.stringMatching(what) as unknown,
    ...(fix !== undefined && { fix: expect.stringMatching(fix) as unknown }),
  })

/** A server's machine and a client's on one wire, and what each knows of the other. */
interface Scene {
  readonly site: Site
  readonly nas: Machine
  readonly laptop: Machine
}

/** A test on machines of its own, so that several can wait at the same time. */
function on (act: (scene: Scene) => Promise<void>): () => Promise<void> {
  return async () => {
    const site = await Site.open()
    try {
      const scene = { site, nas: site.wire.machine('10.0.0.1/24'), laptop: site.wire.machine('10.0.0.2/24') }
      await site.introduce('laptop', 'nas')
      await act(scene)
    } finally {
      await site.dispose()
    }
  }
}

describe.skipIf(noMachines !== undefined).concurrent('doctor', () => {
  test('finds nothing wrong where nothing is, at either end', on(async ({ site, nas, laptop }) => {
    const { port } = await site.serve(nas, 'nas')
    const [client, server] = await Promise.all([site.doctor(laptop, 'laptop'), site.doctor(nas, 'nas', ON_SERVER)])
    expect([client.code, bad(client.findings)]).toEqual([0, []])
    expect([...new Set(client.findings.map(({ check }) => check))].sort()).toEqual([
      'clock',
      'digest',
      'discover',
      'dns-sd',
      'group',
      'identity',
      'interface',
      'offer',
      'reach',
    ])
    expect(client.findings).toContainEqual(
      like('identity', 'ok', /^nas at 10\.0\.0\.1 port \d+ has proven its identity and accepts this client/u)
    )
    expect([server.code, bad(server.findings)]).toEqual([0, []])
    expect(server.findings).toContainEqual(like('identity', 'ok', new RegExp(`port ${port} proved that it is this server`, 'u')))
  }))

  test('says that the server is on another subnet, where a push finds none', on(async ({ site, laptop }) => {
    const far = site.wire.machine('10.0.9.1/24')
    const { port } = await site.serve(far, 'nas')
    const server = `10.0.9.1:${port}`
    const [pushed, remembered, given] = await Promise.all([
      site.push(laptop, 'laptop'),
      (async () => {
        await site.introduce('phone', 'nas')
        const id = await far.run(SERVER_PROGRAM, ['id', '--state-dir', site.path('nas')])
        await laptop.run(CLIENT_PROGRAM, ['trust-server', id.stdout.trim(), '--server', server, '--state-dir', site.path('phone')])
        return await site.doctor(laptop, 'phone')
      })(),
      site.doctor(laptop, 'laptop', { args: ['--server', server] }),
    ])
    expect(pushed.code).toBe(75)
    expect(pushed.stderr).toMatch(/No paired server answered on the local network.*--server HOST:PORT/u)
    expect(remembered.code).toBe(1)
    expect(remembered.findings).toContainEqual(
      like('subnet', 'fault', /10\.0\.9\.1 is in no subnet/u, new RegExp(`--server ${server}`, 'u'))
    )
    expect(given.code).toBe(1)
    expect(given.findings).toContainEqual(like('subnet', 'fault', /10\.0\.9\.1 is in no subnet/u, /router/u))
    // A router between them, and all is well, as long as the server is named.
    const router = site.wire.machine('10.0.0.254/24', '10.0.9.254/24')
    router.enableForwarding()
    laptop.ip('route', 'add', 'default', 'via', '10.0.0.254')
    far.ip('route', 'add', 'default', 'via', '10.0.9.254')
    const routed = await site.doctor(laptop, 'laptop', { args: ['--server', server] })
    expect(routed.code).toBe(0)
    expect(routed.findings).toContainEqual(like('identity', 'ok', /accepts this client/u))
    expect(routed.findings).toContainEqual(like('subnet', 'warning', /in no subnet/u, /^nothing for now/u))
  }))

  test('does not disturb a client that runs, and follows a server to where it is now', on(async ({ site, nas, laptop }) => {
    const first = await site.serve(nas, 'nas')
    const client = laptop.start(CLIENT_PROGRAM, ['start', await site.source(), '--json', '--state-dir', site.path('laptop')])
    await client.line(({ result }) => result === 'ok')
    const beside = await site.doctor(laptop, 'laptop')
    expect([beside.code, bad(beside.findings)]).toEqual([0, []])
    expect(beside.findings).toContainEqual(like('identity', 'ok', /has proven its identity and accepts this client/u))
    expect(client.lines.filter(line => !line.includes('"result":"ok"'))).toEqual([])
    expect(await client.stop()).toBe(0)
    await first.running.stop()
    const { port } = await site.serve(nas, 'nas', { args: ['--port', String(first.port === 4433 ? 4434 : 4433)] })
    const { code, findings } = await site.doctor(laptop, 'laptop')
    expect(code).toBe(0)
    expect(findings).toContainEqual(like('identity', 'ok', new RegExp(`port ${port} has proven its identity`, 'u')))
    expect(findings).toContainEqual(
      like(
        'reach',
        'warning',
        new RegExp(`port ${first.port} cannot be connected to`, 'u'),
        /^nothing for now, because the server has moved to another address/u
      )
    )
  }))

  test('names a route for multicast that is missing, and the command that adds it', on(async ({ site }) => {
    const six = site.wire.machine('fe80::2/64')
    // The kernel adds it a moment after the link is up.
    await expect
      .poll(
        () =>
          six
            .ip('-6', 'route', 'show', 'table', 'local')
            .split('\n')
            .some(line => line.includes('ff00::/8 dev fst0')),
        { timeout: 10_000 }
      )
      .toBe(true)
    six.ip('-6', 'route', 'delete', 'ff00::/8', 'dev', 'fst0', 'table', 'local')
    const { code, findings } = await site.doctor(six, 'laptop')
    expect(code).toBe(1)
    const named = like(
      'discover',
      'fault',
      /there is no route for multicast; "ip -6 route add multicast ff00::\/8 dev fst0 table local" adds one/u
    )
    expect(findings).toContainEqual(named)
    six.ip('-6', 'route', 'add', 'multicast', 'ff00::/8', 'dev', 'fst0', 'table', 'local')
    expect((await site.doctor(six, 'laptop')).findings).not.toContainEqual(named)
  }))

  test.skipIf(noFirewall !== undefined)(
    'recognizes firewalls: of this machine, of the server, and for TCP',
    on(async ({ site, nas, laptop }) => {
      const { port } = await site.serve(nas, 'nas')
      const third = site.wire.machine('10.0.0.3/24')
      third.drop('output', 'udp dport { 9999, 5353 }')
      nas.drop('input', 'udp dport 9999', `ip saddr 10.0.0.4 tcp dport ${port}`)
      const fourth = site.wire.machine('10.0.0.4/24')
      const [outgoing, incoming, tcp, server] = await Promise.all([
        site.doctor(third, 'laptop'),
        site.doctor(laptop, 'laptop'),
        site.doctor(fourth, 'laptop'),
        site.doctor(nas, 'nas', ON_SERVER),
      ])
      expect(outgoing.code).toBe(1)
      expect(outgoing.findings).toContainEqual(like('discover', 'fault', /a firewall on this machine forbids it; allow UDP/u))
      expect(incoming.findings).toContainEqual(
        like('offer', 'warning', /found by DNS-SD, but no OFFER of it comes back: a firewall/u, /port 9999/u)
      )
      expect([incoming.code, tcp.code]).toEqual([0, 1])
      expect(tcp.findings).toContainEqual(
        like('reach', 'fault', /cannot be connected to: no answer in time/u, new RegExp(`allow TCP port ${port}`, 'u'))
      )
      expect(server.code).toBe(1)
      expect(server.findings).toContainEqual(like('discover', 'fault', /not even this machine hears it: a firewall/u, /ufw allow/u))
    })
  )

  test('reports a server that refuses, one that is not running, and strangers', on(async ({ site, nas, laptop }) => {
    await site.serve(nas, 'nas')
    const revoked = await nas.run(SERVER_PROGRAM, ['revoke', 'laptop', '--state-dir', site.path('nas')])
    expect(revoked.code, revoked.stderr).toBe(0)
    await site.introduce('tablet', 'another')
    const [refused, strange, fresh, idle] = await Promise.all([
      site.doctor(laptop, 'laptop'), site.doctor(laptop, 'tablet'), site.doctor(laptop, 'fresh'), site.doctor(laptop, 'idle', ON_SERVER),
    ])
    expect([refused, strange, fresh, idle].map(({ code }) => code)).toEqual([1, 1, 1, 1])
    expect(refused.findings).toContainEqual(
      like('identity', 'fault', /No session with a paired server at 10\.0\.0\.1/u, /filesync-server pair/u)
    )
    expect(strange.findings).toContainEqual(
      like('pairing', 'fault', /Servers answer, but this client is not paired with any of them, only with another\./u)
    )
    expect(fresh.findings).toContainEqual(like('pairing', 'fault', /not paired/u, /filesync-client pair/u))
    expect(idle.findings).toContainEqual(like('server', 'fault', /No server is running/u, /filesync-server start/u))
    for (const { fix } of [refused, strange, fresh, idle].flatMap(({ findings }) => findings).filter(({ level }) => level !== 'ok'))
      expect(fix).toMatch(/^[^\n]{5,}$/u)
  }))

  test('tells when two clocks differ', on(async ({ site, nas, laptop }) => {
    const ahead = 'const{now}=Date;Date.now=()=>now()+300000'
    await site.serve(nas, 'nas', {
      env: { NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=data:text/javascript,${ahead.replace(' ', '%20')}` },
    })
    const { code, findings } = await site.doctor(laptop, 'laptop')
    expect(code).toBe(0)
    expect(findings).toContainEqual(like('clock', 'warning', /server's clock is (5 min|4 min 59 s).* ahead of this machine's/u, /NTP/u))
  }))

  test('recognizes several interfaces in one subnet, and container bridges', on(async ({ site, nas, laptop }) => {
    laptop.ip('link', 'add', 'fst1', 'type', 'veth', 'peer', 'name', 'docker0')
    for (const [name, address] of [['fst1', '10.0.0.3/24'], ['docker0', '172.17.0.1/16']] as const) {
      laptop.ip('address', 'add', address, 'dev', name)
      laptop.ip('link', 'set', name, 'up')
    }
    await site.serve(nas, 'nas')
    const { findings } = await site.doctor(laptop, 'laptop', {
      args: ['--interface', 'fst0', '--interface', 'fst1', '--interface', 'docker0', '--interface', 'eth9'],
    })
    expect(findings).toContainEqual(
      like('interface', 'warning', /fst0 \(10\.0\.0\.2\/24\) and fst1 \(10\.0\.0\.3\/24\) are in one subnet/u, /--interface fst0/u)
    )
    expect(findings).toContainEqual(like('interface', 'ok', /docker0 \(172\.17\.0\.1\/16\) is used to find containers of this machine/u))
    expect(findings).toContainEqual(like('interface', 'fault', /The interface eth9 does not exist/u, /ip link set eth9 up/u))
  }))

  test('prints one line for a finding, with the fix', on(async ({ site, laptop }) => {
    const { code, stdout } = await laptop.run(CLIENT_PROGRAM, [
      'doctor',
      '--state-dir',
      site.path('laptop'),
      '--server',
      'no-such-name.invalid:4433',
    ])
    expect(code).toBe(1)
    expect(stdout).toMatch(
      /^FAULT {4}The host name no-such-name\.invalid cannot be resolved: .* {2}Fix: check the name, or give the address/mu
    )
    for (const line of stdout.split('\n')) expect(line).toMatch(/^(ok|warning|FAULT) +\S/u)
  }))
})
