import { spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
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

  async function showCode (): Promise<string> {
    const shown = await stage.run(SERVER_PROGRAM, ['pair', '--json', '--state-dir', server.stateDir])
    expect(shown.code, shown.stderr).toBe(0)
    return (JSON.parse(shown.stdout) as { code: string }).code
  }

  async function enter (code: string): Promise<{ code: number | null, stderr: string }> {
    const child = spawn(process.execPath, [CLIENT_PROGRAM, 'pair', '--code-stdin', '--id', 'laptop', ...stage.clientArgs('client')], { stdio: ['pipe', 'ignore', 'pipe'] })
    child.stdin.end(`${code}\n`)
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
    return await new Promise(resolve => { child.once('exit', exit => { resolve({ code: exit, stderr }) }) })
  }

  test('the code that the server shows pairs one client, however it is spelt', async () => {
    const code = await showCode()
    expect(await enter(code.toLowerCase().replaceAll('-', ' '))).toMatchObject({ code: 0 })
    expect(await stage.push('client', stage.path('source'))).toMatchObject({ code: 0 })
  })

  test('a wrong code pairs nobody', async () => {
    const code = await showCode()
    const wrong = `${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`
    expect(await enter(wrong)).toMatchObject({ code: 3 })
    expect(await stage.push('client', stage.path('source'))).toMatchObject({ code: 3 })
  })
})
