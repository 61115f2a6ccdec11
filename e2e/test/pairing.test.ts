import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { formatDeviceId } from '@filesync/identity'
import { openServers } from '@filesync/identity/node'
import { CLIENT_PROGRAM, SERVER_PROGRAM, Stage } from '../src/programs.ts'
import type { RunningServer } from '../src/programs.ts'

describe('pairing by a code', () => {
  let stage: Stage
  let server: RunningServer
  beforeEach(async () => {
    stage = await Stage.open()
    server = await stage.startServer()
    await mkdir(stage.path('source'))
  })
  afterEach(async () => { await stage.dispose() })

  async function showCode ({ stateDir } = server): Promise<string> {
    const shown = await stage.run(SERVER_PROGRAM, ['pair', '--json', '--state-dir', stateDir])
    expect(shown.code, shown.stderr).toBe(0)
    return (JSON.parse(shown.stdout) as { code: string }).code
  }

  async function enter (code: string, client = 'client'): Promise<{ code: number | null, stderr: string }> {
    const child = spawn(process.execPath, [CLIENT_PROGRAM, 'pair', '--code-stdin', '--id', 'laptop', ...stage.clientArgs(client)], {
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    child.stdin.end(`${code}\n`)
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
    return await new Promise(resolve => { child.once('close', exit => { resolve({ code: exit, stderr }) }) })
  }

  test('the code that the server shows pairs one client, however it is spelt', async () => {
    const code = await showCode()
    expect(await enter(code.toLowerCase().replaceAll('-', ' '))).toMatchObject({ code: 0 })
    expect(await stage.push('client', stage.path('source'))).toMatchObject({ code: 0 })
  })

  test('of several servers that show a code, the one with this code is found, and the others keep theirs', async () => {
    const servers = [server, await stage.startServer('second'), await stage.startServer('third')]
    const codes = await Promise.all(servers.map(showCode))
    for (const [at, code] of codes.entries()) {
      const entered = await enter(code, `client${at}`)
      expect(entered, entered.stderr).toMatchObject({ code: 0 })
      expect((await openServers(stage.path(`client${at}`)).list()).map(({ id }) => formatDeviceId(id))).toEqual([
        servers[at]?.listening.id,
      ])
    }
  })

  test('a wrong code pairs nobody', async () => {
    const code = await showCode()
    const wrong = `${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`
    expect(await enter(wrong)).toMatchObject({ code: 3 })
    expect(await stage.push('client', stage.path('source'))).toMatchObject({ code: 3 })
  })

  test('two commands and one typed code, in two terminals', { timeout: 30_000 }, async ({ skip }) => {
    if (!existsSync('/usr/bin/script')) skip('script(1), which makes the pseudo-terminals, is not installed')
    const shown = new InTerminal([SERVER_PROGRAM, 'pair', '--state-dir', server.stateDir])
    const [code] = await shown.see(/[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}/u)
    expect(await shown.ended).toBe(0)

    const typing = new InTerminal([CLIENT_PROGRAM, 'pair', '--id', 'laptop', ...stage.clientArgs('client')])
    await typing.see(/Code:/u)
    typing.type('not a code\r')
    await typing.see(/Code:[^]*Code:/u)
    typing.type(`${code}\r`)
    await typing.see(/Paired with/u)
    expect(await typing.ended).toBe(0)
    expect(await stage.push('client', stage.path('source'))).toMatchObject({ code: 0 })
  })
})

/** A program in a pseudo-terminal of its own. */
class InTerminal {
  readonly ended: Promise<number | null>
  readonly #child: ReturnType<typeof startInTerminal>
  #shown = ''
  #wake: () => void = () => { /* nobody waits yet */ }

  constructor (command: readonly string[]) {
    this.#child = startInTerminal(command)
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#shown += text
      this.#wake()
    })
    this.ended = new Promise(resolve => {
      this.#child.once('close', code => {
        this.#wake()
        resolve(code)
      })
    })
  }

  /** Waits until the terminal shows it. */
  async see (pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#shown)
      if (match !== null) return match
      if (this.#child.exitCode !== null) throw new Error(`The program ended and showed: ${this.#shown}`)
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }

  type (keys: string): void {
    this.#child.stdin.write(keys)
  }
}

function startInTerminal (command: readonly string[]): ChildProcessByStdio<Writable, Readable, null> {
  const line = [process.execPath, ...command].map(part => `'${part.replaceAll("'", "'\\''")}'`).join(' ')
  return spawn('/usr/bin/script', ['--quiet', '--return', '--command', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] })
}
