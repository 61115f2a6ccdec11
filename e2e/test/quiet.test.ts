import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { CLIENT_PROGRAM, openPairedStage, SERVER_PROGRAM } from '../src/programs.ts'

test('--quiet prints nothing of what is well, and everything of what is not', async () => {
  const { stage, server, source, mirror } = await openPairedStage()
  onTestFinished(async () => { await stage.dispose() })
  const client = async (...args: string[]): Promise<{ code: number, stdout: string, stderr: string }> =>
    await stage.run(CLIENT_PROGRAM, [...args, '--settle', '0s', '--quiet', ...stage.clientArgs('client')])
  await writeFile(join(source, 'a'), 'a')
  expect(await client('push', source)).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(await client('safe', join(source, 'a'))).toEqual({ code: 0, stdout: '', stderr: '' })

  await writeFile(join(source, 'bell\u0007'), 'its name cannot be stored')
  expect(await client('push', source)).toMatchObject({
    code: 5,
    stdout: '',
    stderr: expect.stringMatching(/1 entry was not stored:\n {2}source\/bell\\u\{7\}: /u) as unknown,
  })
  await writeFile(join(source, 'b'), 'b')
  expect(await client('safe', join(source, 'b'))).toMatchObject({
    code: 5,
    stdout: '',
    stderr: expect.stringContaining('source/b: NOT SAFE.') as unknown,
  })

  const verify = async (): Promise<{ code: number, stdout: string, stderr: string }> =>
    await stage.run(SERVER_PROGRAM, ['verify', 'client', '--quiet', '--state-dir', server.stateDir])
  expect(await verify()).toEqual({ code: 0, stdout: '', stderr: '' })
  await writeFile(join(mirror, 'a'), 'x')
  expect(await verify()).toMatchObject({ code: 5, stdout: '', stderr: expect.stringMatching(/ {2}source\/a: /u) as unknown })
})
