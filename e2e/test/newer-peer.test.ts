import { LIMITS } from '@filesync/protocol'
import type { NextSync } from '@filesync/protocol'
import { memoryStreamPair } from '@filesync/protocol/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { attack, untilTasks } from '../src/hostile-client.ts'
import { FOLDER, Ground, push } from '../src/hostile-ground.ts'
import { hello, HostilePeer, pack } from '../src/hostile-peer.ts'

const NEW_PROBLEM = { path: 'frozen', code: 'FILE_FROZEN', message: 'it is frozen until tomorrow' }
const STORED = { files: 0, bytes: 0, deleted: 0, renamed: 0 }

let ground: Ground
beforeAll(async () => { ground = await Ground.open() })
afterAll(async () => { await ground.close() })

test('a client with a new kind of problem is served by an older server, which shows what it says', async () => {
  const literal = { frozen: 'cannot be read', plain: 'is stored' }
  let next: NextSync | undefined
  const { taken, heard } = await attack(ground, 'newer', {
    run: async peer => {
      await untilTasks(peer, literal)
      await peer.say({ type: 'FILE_PROBLEM', task: 0, code: NEW_PROBLEM.code, message: NEW_PROBLEM.message })
      await peer.raw('PACK', pack({ task: 1, bytes: Buffer.from(literal.plain) }))
      next = await peer.hear('NEXT_SYNC')
      await peer.say({ type: 'CLOSE', code: 'DONE', message: '' })
    },
  })
  expect(next).toMatchObject({
    result: 'PROBLEMS',
    stored: { files: 1 },
    problems: [{ path: `${FOLDER}/frozen`, code: 'OTHER', message: `the reason is unknown to this version: ${NEW_PROBLEM.message}` }],
  })
  expect({ taken, heard }).toMatchObject({ taken: { result: 'PROBLEMS' }, heard: 'DONE' })
  expect(Object.keys(await ground.stored('newer'))).toEqual(['plain'])
})

test('a server with new states, results and problems is understood by an older client as far as is safe', async () => {
  const [left, right] = memoryStreamPair()
  const peer = new HostilePeer(right)
  const pushing = push(left, { file: 'content' })
  await peer.hear('HELLO')
  await peer.say(hello(), { type: 'SERVER_STATUS', status: 'WARMING_UP', degrees: 7 })
  await peer.say({
    type: 'SERVER_STATUS',
    status: 'READY',
    session: 's',
    serverName: 'nas',
    area: 'laptop',
    policy: { mode: 'mirror', maxFileBytes: LIMITS.fileBytes },
  })
  await peer.hear('CLIENT_FILES_INFO')
  await peer.say({ type: 'NEXT_SYNC', inMs: 1000, result: 'POSTPONED', stored: STORED, problems: [NEW_PROBLEM], problemCount: 1 })
  expect(await peer.heardAtEnd()).toBe('DONE')
  const next = await pushing
  expect(next).toMatchObject({ result: 'PROBLEMS', problems: [{ ...NEW_PROBLEM, code: 'OTHER' }] })
})
