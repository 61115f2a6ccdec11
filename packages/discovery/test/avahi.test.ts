import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Segment, whyNoNamespaces } from './support/network-namespace.ts'
import type { Host, Line } from './support/network-namespace.ts'

const script = fileURLToPath(new URL('./support/avahi.sh', import.meta.url))
const hasAvahi = ['avahi-daemon', 'avahi-browse', 'dbus-daemon']
  .every(program => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0)
const absent = 'avahi-daemon, avahi-utils or dbus is not installed (Debian: apt install avahi-utils)'
const reason = whyNoNamespaces() ?? (hasAvahi ? undefined : absent)
if (reason !== undefined) console.warn(`Skipped: tests against Avahi, because ${reason}`)

/** Avahi on one host. */
class Avahi {
  readonly lines: string[] = []
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #scratch: string = mkdtempSync(join(tmpdir(), 'filesync-avahi-'))
  #waiting: (() => void)[] = []

  constructor (host: Host) {
    const words = ['netns', 'exec', host.namespace, 'unshare', '--mount', 'sh', script, this.#scratch]
    this.#child = spawn('ip', words, { stdio: ['pipe', 'pipe', 'ignore'] })
    createInterface({ input: this.#child.stdout }).on('line', line => {
      this.lines.push(line)
      for (const wake of this.#waiting.splice(0)) wake()
    })
  }

  /** Runs a command beside it. */
  run (command: string): void {
    this.#child.stdin.write(`${command}\n`)
  }

  /** Waits for the first line that fits, of those printed and those to come. */
  async line (fits: (line: string) => boolean): Promise<string> {
    for (;;) {
      const found = this.lines.find(fits)
      if (found !== undefined) return found
      await new Promise<void>(resolve => { this.#waiting.push(resolve) })
    }
  }

  async stop (): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.stdin.end()
    await exited
    rmSync(this.#scratch, { recursive: true, force: true })
  }
}

const is = (event: string, name?: string) => (line: Line): boolean => line.event === event && (name === undefined || line.name === name)

describe.skipIf(reason !== undefined)('beside Avahi', { timeout: 60_000 }, () => {
  let segment: Segment
  let avahi: Avahi | undefined
  beforeAll(() => { segment = new Segment() })
  afterEach(async () => {
    await avahi?.stop()
    await segment.reset()
  }, 60_000)
  afterAll(async () => { await segment.remove() }, 60_000)

  async function start (): Promise<{ readonly avahi: Avahi, readonly host: Host }> {
    avahi = new Avahi(segment.host('10.0.0.1/24'))
    await avahi.line(line => line === 'ready')
    return { avahi, host: segment.host('10.0.0.2/24') }
  }

  test('what Avahi announces is found, with its name and properties, and is gone when Avahi withdraws it', async () => {
    const { avahi, host } = await start()
    const found = host.start({ do: 'follow', type: '_ipp._tcp' })
    await found.line(is('looking'))
    avahi.run('echo $$ pid; exec avahi-publish -s "Pr.inter \\\\ 3, 2nd floor" _ipp._tcp 631 rp=ipp/print "note=a b" Color')
    const pid = (await avahi.line(line => line.endsWith(' pid'))).split(' ')[0] ?? ''
    expect(await found.line(is('up'))).toMatchObject({
      name: 'Pr.inter \\ 3, 2nd floor', type: '_ipp._tcp', host: 'avahi-host.local', port: 631, addresses: ['10.0.0.1'],
      txt: { rp: 'ipp/print', note: 'a b', color: true }, interfaceName: 'fst0',
    })
    process.kill(Number(pid), 'SIGTERM')
    await found.line(is('gone'))
  })

  test('Avahi finds and resolves what is announced, and sees it go', async () => {
    const { avahi, host } = await start()
    avahi.run('exec avahi-browse --resolve --parsable --no-db-lookup _http._tcp')
    const task = host.start({ do: 'announce', name: 'Desk 3.5', type: '_http._tcp', port: 8080, txt: { path: '/index', q: 'a=b' } })
    await task.line(is('announced', 'Desk 3.5'))
    const line = await avahi.line(text => text.startsWith('='))
    expect(line).toMatch(/^=;fst0;IPv4;Desk\\0323\\\.5;_http\._tcp;local;host-[0-9a-f]{12}\.local;10\.0\.0\.2;8080;/u)
    expect(line).toContain('"path=/index"')
    expect(line).toContain('"q=a=b"')
    await task.stop()
    await avahi.line(text => text.startsWith('-;fst0;IPv4;Desk'))
  })

  test('a name that Avahi has is not taken from it', async () => {
    const { avahi, host } = await start()
    avahi.run('exec avahi-publish -s Twin _ipp._tcp 631 2>&1')
    await avahi.line(text => text.includes('Established'))
    const task = host.start({ do: 'announce', name: 'Twin', type: '_ipp._tcp', port: 9100, txt: {} })
    expect(await task.line(is('announced'))).toMatchObject({ name: 'Twin (2)' })
  })

  test('Avahi does not take a name that is announced', async () => {
    const { avahi, host } = await start()
    await host.start({ do: 'announce', name: 'Ours', type: '_ipp._tcp', port: 9100, txt: {} }).line(is('announced', 'Ours'))
    avahi.run('exec avahi-publish -s Ours _ipp._tcp 631 2>&1')
    expect(await avahi.line(text => /Established|collision/iu.test(text))).toMatch(/collision/iu)
    await avahi.line(text => /Established under name 'Ours #2'/u.test(text))
  })
})
