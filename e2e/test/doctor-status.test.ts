import { writeFile } from 'node:fs/promises'
import { expect, onTestFinished, test } from 'vitest'
import { EventTail } from '../src/event-tail.ts'
import { CLIENT_PROGRAM, openPairedStage, SERVER_PROGRAM } from '../src/programs.ts'

test('a doctor changes nothing of what the server shows and logs', async () => {
  const { stage, server, source } = await openPairedStage()
  onTestFinished(async () => { await stage.dispose() })
  await writeFile(stage.path('source', 'a'), 'a')
  await writeFile(stage.path('source', 'bell\u0007'), 'its name cannot be stored')
  expect((await stage.push('client', source, ['--settle', '0s'])).code).toBe(5)

  const peers = async (): Promise<unknown> =>
    (JSON.parse((await stage.run(SERVER_PROGRAM, ['status', '--json', '--state-dir', server.stateDir])).stdout) as { peers: unknown })
      .peers
  const before = await peers()
  expect(before).toMatchObject([{ lastResult: 'problems', problemCount: 1, nextSyncAt: expect.any(String) as unknown }])
  const events = await EventTail.open(server.stateDir)
  const address = `127.0.0.1:${server.listening.port}`
  for (const running of [false, true]) {
    const client = running ? stage.start(CLIENT_PROGRAM, ['start', source, '--settle', '0s', ...stage.clientArgs('client')]) : undefined
    if (running) await events.until(({ event }) => event === 'synced')
    const examined = await stage.run(CLIENT_PROGRAM, ['doctor', '--server', address, ...stage.clientArgs('client')])
    expect(examined.stdout).toContain('has proven its identity and accepts this client.')
    if (!running) expect(await peers()).toEqual(before)
    if (client !== undefined) expect(await stage.stop(client)).toBe(0)
  }
  expect(
    (await stage.run(SERVER_PROGRAM, ['doctor', '--interface', 'lo', '--bind', '127.0.0.1', '--state-dir', server.stateDir])).stdout
  ).toContain('proved that it is this server')
  expect(await peers()).toMatchObject([{ lastResult: 'problems', problemCount: 1, nextSyncAt: expect.any(String) as unknown }])
  expect([...new Set(events.events.map(({ event }) => event))].filter(event => event !== 'turn' && event !== 'progress')).toEqual([
    'synced',
  ])
  events.close()
})
