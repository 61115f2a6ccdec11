import { FileSyncError, foldKey } from '@filesync/protocol'
import { seededRandom } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import type { DeviceId } from '../src/index.ts'
import { PairingHost, someId } from './support/pairing-host.ts'
import { codeOf } from './support/machines.ts'

/** A host with a client, and the key of that client. */
async function withClient (name = 'work'): Promise<{ host: PairingHost, old: DeviceId }> {
  const [host, old] = [new PairingHost(), someId()]
  await host.visit(await host.desk.openWindow(), { clientId: old, name })
  host.events.length = 0
  return { host, old }
}

async function messageOf (work: Promise<unknown>): Promise<string> {
  return await work.then(() => 'NOTHING', (error: unknown) => error instanceof Error ? error.message : String(error))
}

test('a new key gets the area of a client, and the old key is revoked in the same write, audit first', async () => {
  const { host, old } = await withClient()
  await host.peers.expect('work', 86_400_000)
  const [before, writes] = [await host.peers.list(), [] as string[]]
  host.beforeWrite = () => { writes.push(host.events.map(({ event }) => event).join(' ')) }
  const clientId = someId()
  const code = await host.desk.openWindow({ area: 'work' })
  expect(await host.visit(code, { clientId, name: 'reinstalled' })).toMatchObject({ area: 'work', note: 'CONTINUES' })
  expect(writes).toEqual(['open-window revoke pair'])
  expect(host.events).toMatchObject([
    { event: 'open-window', area: 'work' }, { event: 'revoke', id: old, area: 'work', by: clientId },
    { event: 'pair', id: clientId, area: 'work', via: 'code' },
  ])
  expect(before).toHaveLength(1)
  expect(await host.peers.list()).toMatchObject([{ id: clientId, area: 'work', formerIds: [old], expectMs: 86_400_000 }])
  expect(await messageOf(host.peers.authorize(old, ''))).toMatch('Another machine has taken over')
})

test.each(['revoke', 'pair'])('nothing changes if the audit log cannot be written (%s), and the same client can try again', async event => {
  const { host, old } = await withClient()
  const clientId = someId()
  const code = await host.desk.openWindow({ area: 'work' })
  host.onRecord = async given => {
    if (given.event === event) throw new FileSyncError('STATE_INVALID', 'no room')
  }
  expect(await codeOf(host.visit(code, { clientId }))).not.toBe('NOTHING')
  expect(await host.peers.list()).toMatchObject([{ id: old, area: 'work' }])
  expect(await host.peers.authorize(old, '')).toMatchObject({ area: 'work' })
  host.onRecord = async () => { /* there is room again */ }
  expect(await host.visit(code, { clientId })).toMatchObject({ area: 'work' })
  expect(await host.peers.list()).toHaveLength(1)
})

test('an answer that was lost is repeated, and changes nothing more', async () => {
  const { host } = await withClient()
  const clientId = someId()
  const code = await host.desk.openWindow({ area: 'work' })
  await host.visit(code, { clientId })
  const after = await host.peers.list()
  expect(await host.visit(code, { clientId })).toMatchObject({ area: 'work' })
  expect(await host.peers.list()).toEqual(after)
})

test('of two machines with one code only one gets the area', async () => {
  const { host } = await withClient()
  const code = await host.desk.openWindow({ area: 'work' })
  const outcomes = await Promise.all([codeOf(host.visit(code)), codeOf(host.visit(code)), codeOf(host.visit(code))])
  expect(outcomes.sort()).toEqual(['NOTHING', 'PAIRING_REFUSED', 'PAIRING_REFUSED'])
  expect(await host.peers.list()).toHaveLength(1)
})

test('an area that no key has any more can be taken over, also by another spelling of its name', async () => {
  const host = new PairingHost()
  host.archived = ['Studio', 'lost+found', 'legacy', '.filesync']
  expect(await host.visit(await host.desk.openWindow({ area: 'STUDIO' }))).toMatchObject({ area: 'Studio', note: 'CONTINUES' })
})

const NO_AREAS = ['nobody', 'legacy', 'LEGACY', 'legacy/camera', '..', '.filesync', '', 'a/b', 'work\u202e']

test.each(NO_AREAS)('%j gives no area away', async area => {
  const { host, old } = await withClient()
  host.archived = ['work', 'legacy', '.filesync', 'legacy/camera']
  const code = await host.desk.openWindow({ area })
  expect(await codeOf(host.visit(code))).toBe('PAIRING_REFUSED')
  expect(await host.peers.list()).toMatchObject([{ id: old, area: 'work' }])
})

test('of two areas that differ only in case, the one that is spelled so is taken over, and otherwise none', async () => {
  const host = new PairingHost()
  host.archived = ['Work', 'work']
  expect(await codeOf(host.visit(await host.desk.openWindow({ area: 'WORK' })))).toBe('PAIRING_REFUSED')
  expect(await host.visit(await host.desk.openWindow({ area: 'work' }))).toMatchObject({ area: 'work' })
})

test('a machine that was paired beside its old area continues that one, and leaves the other', async () => {
  const { host, old } = await withClient()
  const clientId = someId()
  expect(await host.visit(await host.desk.openWindow(), { clientId, name: 'Work' })).toMatchObject({ area: 'Work-2', note: 'BESIDE' })
  host.events.length = 0
  expect(await host.visit(await host.desk.openWindow({ area: 'work' }), { clientId })).toMatchObject({ area: 'work' })
  expect(await host.peers.list()).toMatchObject([{ id: clientId, area: 'work', formerIds: [old] }])
  expect(host.events.at(-1)).toMatchObject({ event: 'pair', area: 'work', leaves: 'Work-2' })
})

test('an area whose key was revoked long ago can be taken over, and the revoked key stays out', async () => {
  const { host, old } = await withClient()
  await host.peers.revoke('work')
  await host.visit(await host.desk.openWindow({ area: 'work' }))
  expect(await codeOf(host.peers.authorize(old, ''))).toBe('NOT_PAIRED')
  expect(await host.peers.list()).toHaveLength(1)
})

test('a token for an area has one use, and a key that was replaced cannot use it to get the area back', async () => {
  const { host } = await withClient()
  expect(await codeOf(host.issue(2, 60_000, 'work'))).toBe('USAGE')
  const [first, second] = [someId(), someId()]
  const token = await host.issue(1, 60_000, 'work')
  await host.visit(token, { clientId: first })
  expect(await codeOf(host.visit(token, { clientId: second }))).toBe('PAIRING_REFUSED')
  await host.visit(await host.desk.openWindow({ area: 'work' }), { clientId: second })
  expect(await codeOf(host.visit(token, { clientId: first }))).toBe('PAIRING_REFUSED')
  expect(await codeOf(host.visit(await host.issue(9), { clientId: first }))).toBe('PAIRING_REFUSED')
  expect(await host.peers.list()).toMatchObject([{ id: second, area: 'work' }])
})

test('a token that was spent before the power failed still admits its client, and no other', async () => {
  const { host, old } = await withClient()
  const clientId = someId()
  const token = await host.issue(1, 60_000, 'work')
  host.beforeWrite = () => { throw new Error('power') }
  expect(await codeOf(host.visit(token, { clientId }))).not.toBe('NOTHING')
  host.beforeWrite = () => { /* it is back */ }
  expect(await host.peers.authorize(old, '')).toMatchObject({ area: 'work' })
  expect(await codeOf(host.visit(token))).toBe('PAIRING_REFUSED')
  expect(await host.visit(token, { clientId })).toMatchObject({ area: 'work' })
})

test('a token that its client repeats takes nothing from the client that has the name by now', async () => {
  const { host } = await withClient()
  const clientId = someId()
  const token = await host.issue(1, 60_000, 'work')
  await host.visit(token, { clientId })
  await host.peers.beginRename('work', 'studio', [])
  await host.peers.endRename(clientId, 'done')
  const heir = await host.visit(await host.desk.openWindow(), { name: 'work' })
  expect(heir.area).toBe('work')
  expect(await host.visit(token, { clientId })).toMatchObject({ area: 'studio' })
  expect((await host.peers.list()).map(({ area }) => area).sort()).toEqual(['studio', 'work'])
})

test('a replaced key that a new code admits gets an area of its own, and is trusted like any other', async () => {
  const { host, old } = await withClient()
  await host.visit(await host.desk.openWindow({ area: 'work' }))
  expect(await host.visit(await host.desk.openWindow(), { clientId: old, name: 'work' })).toMatchObject({ area: 'work-2' })
  expect((await host.peers.list()).flatMap(({ formerIds }) => formerIds ?? [])).toEqual([])
  expect(await host.visit(await host.issue(1), { clientId: old })).toMatchObject({ area: 'work-2' })
})

test.each(['legacy', 'LEGACY', 'camera', 'CAMERA', 'kept', 'a/b', 'con', ' x', 'x.', '', 'x'.repeat(65), 'work'])(
  'no client is renamed to %j', async to => {
    const { host } = await withClient()
    await host.visit(await host.desk.openWindow(), { name: 'camera' })
    expect(await codeOf(host.peers.beginRename('work', to, ['work', 'Kept']))).toBe('USAGE')
    expect((await host.peers.list()).every(({ renamingTo }) => renamingTo === undefined)).toBe(true)
  }
)

test('a name that differs in case only is a new name, and nobody else gets it meanwhile', async () => {
  const { host, old } = await withClient()
  await host.peers.beginRename('work', 'Work', ['work'])
  expect(await host.visit(await host.desk.openWindow(), { name: 'WORK' })).toMatchObject({ area: 'WORK-2' })
  expect(await codeOf(host.visit(await host.desk.openWindow({ area: 'work' })))).toBe('PAIRING_REFUSED')
  expect(await host.peers.endRename(old, 'done')).toMatchObject({ area: 'Work' })
})

const SEED = Number(process.env['SEED'] ?? 7)

test(`no two keys have one area, whatever the operator and the machines do (seed ${String(SEED)})`, async () => {
  const random = seededRandom(SEED)
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  const host = new PairingHost()
  const machines = Array.from({ length: 5 }, someId)
  const names = ['a', 'A', 'b', 'a-2', 'legacy']
  host.archived = ['a', 'orphan']
  const tokens = [await host.issue(3), await host.issue(1)]
  let [refused, done] = [0, 0]
  for (let step = 0; step < 400; step++) {
    host.beforeWrite = random() < 0.1 ? () => { throw new Error('power') } : () => { /* works */ }
    const [name, area, clientId] = [pick(names), pick([...names, 'orphan', 'b-2']), pick(machines)]
    const work = pick([
      async () => await host.visit(await host.desk.openWindow(), { clientId, name }),
      async () => await host.visit(await host.desk.openWindow({ area }), { clientId, name }),
      async () => await host.visit(pick(tokens), { clientId, name }),
      async () => { tokens.push(await host.issue(1, 60_000, area)) },
      async () => await host.peers.revoke(area),
      async () => await host.peers.remove(area),
      async () => await host.peers.beginRename(area, name, host.archived),
      async () => await host.peers.endRename(clientId, pick(['done', 'undone'])),
      async () => { await host.peers.forget(clientId) },
    ])
    await work().then(() => { done++ }, () => { refused++ })
    const peers = await host.peers.list()
    const held = peers.flatMap(peer => [...new Set([foldKey(peer.area), foldKey(peer.renamingTo ?? peer.area)])])
    expect(new Set(held).size, `step ${String(step)}`).toBe(held.length)
    expect(new Set(peers.map(({ id }) => id)).size).toBe(peers.length)
    expect(peers.some(({ formerIds, id }) => formerIds?.includes(id))).toBe(false)
    expect(peers.every(peer => peers.every(other => !other.formerIds?.includes(peer.id)))).toBe(true)
  }
  expect(done).toBeGreaterThan(100)
  expect(refused).toBeGreaterThan(50)
})
