import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, rm, utimes, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EventTail } from '../src/event-tail.ts'
import { CLIENT_PROGRAM, mirrorOf, Stage } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const LONG_AGO = 1_700_000_000
/** The first keeps the server busy until the others stand in line. */
const SLOW = 'anna'
const OTHERS = ['bert', 'carl', 'dora', 'emil', 'finn']

let stage: Stage
beforeEach(async () => { stage = await Stage.open() })
afterEach(async () => { await stage.dispose() })

async function source (client: string, sizeBytes: number): Promise<string> {
  const directory = stage.path(`${client}-files`)
  await mkdir(directory)
  await writeFile(`${directory}/file`, randomBytes(sizeBytes))
  await utimes(`${directory}/file`, LONG_AGO, LONG_AGO)
  return directory
}

test('clients are served in order of arrival: a killed one leaves the queue, one that reconnects keeps its place', async () => {
  for (const client of [SLOW, ...OTHERS]) await stage.introduce(client, 'server')
  const server = await stage.startServer()
  const told = await EventTail.open(server.stateDir)
  const start = (client: string, state = client, args: readonly string[] = []): ReturnType<Stage['start']> => {
    const child = stage.start(CLIENT_PROGRAM, [
      'push',
      stage.path(`${client}-files`),
      '--json',
      '--server',
      `127.0.0.1:${server.listening.port}`,
      ...stage.clientArgs(state),
      ...args,
    ])
    child.stdout.resume()
    child.stderr.resume()
    return child
  }
  const kill = async (client: string): Promise<void> => {
    const child = children.get(client)
    if (child !== undefined) await stage.stop(child, 'SIGKILL')
  }
  const waits = async (client: string, position: number, nth = 1): Promise<unknown> =>
    await told.until(event => event['event'] === 'waiting' && event['client'] === client && event['position'] === position, nth)

  await Promise.all([source(SLOW, 2_000_000), ...OTHERS.map(async client => await source(client, 1_000))])
  const children = new Map([[SLOW, start(SLOW, SLOW, ['--limit', '4k', '--compress', 'never'])]])
  await told.until(({ event, client }) => event === 'turn' && client === SLOW)
  for (const [i, client] of OTHERS.entries()) {
    children.set(client, start(client))
    await waits(client, i + 1)
  }

  // A client knows its place, and learns of a better one.
  const own = await EventTail.open(stage.path('finn'))
  await kill('bert')
  for (const [i, client] of ['carl', 'dora', 'emil', 'finn'].entries()) await waits(client, i + 1)
  await own.until(({ doing, position }) => doing === 'queued' && position === 4)
  own.close()

  // Gone without a CLOSE, as with a pulled cable: the same client on a new connection keeps its position.
  children.get('dora')?.kill('SIGSTOP')
  await cp(stage.path('dora'), stage.path('dora-again'), { recursive: true, filter: path => !path.endsWith('/run') })
  const again = start('dora', 'dora-again')
  await waits('dora', 2, 2)
  await kill('dora')
  children.set('dora', again)

  const turns = (): unknown[] => told.events.filter(({ event }) => event === 'turn').map(({ client }) => client)
  expect(turns()).toEqual([SLOW])
  // It would have gone on for minutes.
  await kill(SLOW)
  await told.until(({ event, area }) => event === 'synced' && area === 'finn')
  expect(turns()).toEqual([SLOW, 'carl', 'dora', 'emil', 'finn'])
  for (const client of ['carl', 'dora', 'emil', 'finn'])
    expect(await treeDifferences(stage.path(`${client}-files`), mirrorOf(server, client, `${client}-files`))).toEqual([])
  expect(existsSync(`${server.archive}/bert`)).toBe(false)
  told.close()
  await rm(stage.path('dora-again'), { recursive: true })
}, 60_000)
