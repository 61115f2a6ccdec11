import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { encodeLegacyMessage, fitLegacyTasks, LEGACY_LIMITS } from '../src/legacy/index.ts'
import { parseLegacyMessage } from '../src/legacy/legacy-messages.ts'

const chapter = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8').split('\n## Legacy\n')[1] ?? ''

it('docs/protocol.md has every limit of the original protocol', () => {
  const rows = [...chapter.matchAll(/^\| `(\w+)` \| (\d+) \| (.+) \|$/gmu)].map(([, name, value]) => [name, Number(value)])
  expect(rows).toEqual(Object.entries(LEGACY_LIMITS))
})

it('messages end as the original program ends them', () => {
  const text = (...args: Parameters<typeof encodeLegacyMessage>): string => new TextDecoder().decode(encodeLegacyMessage(...args))
  expect(text({ type: 'SERVER_STATUS_MESSAGE', status: 'READY' })).toBe('{"type":"SERVER_STATUS_MESSAGE","status":"READY"}')
  expect(text({ type: 'TASKS', files_to_send: ['a/b'] })).toBe('{"type":"TASKS","files_to_send":["a/b"]}\n')
  expect(text({
    type: 'FILE_HEADER', name: 'b', path: 'a/b', size: 5, last_mod: '',
  })).toBe('{"type":"FILE_HEADER","name":"b","path":"a/b","size":5,"last_mod":""}\n')
  expect(text({ type: 'NEXT_SYNC', time: 'x' })).toBe('{"type":"NEXT_SYNC","time":"x"}')
})

it('a message needs its fields, and other fields are ignored', () => {
  expect(parseLegacyMessage(
    'SERVER_STATUS', { type: 'SERVER_STATUS', status: 'BUSY', more: 1 }
  )).toEqual({ type: 'SERVER_STATUS', status: 'BUSY' })
  expect(parseLegacyMessage(
    'CLIENT_FILES_INFO', { type: 'CLIENT_FILES_INFO', files: [] }
  )).toEqual({ type: 'CLIENT_FILES_INFO', client_id: null, files: [] })
  for (const value of [
    null, [], 'TASKS', { type: 'TASKS' }, { type: 'TASKS', files_to_send: 'a' }, { type: 'TASKS', files_to_send: [1] },
  ]) {
    expect(() => parseLegacyMessage('TASKS', value)).toThrow(expect.objectContaining({ code: 'MESSAGE_INVALID' }))
  }
})

it('TASKS has as many paths as fit, to the byte', () => {
  const paths = ['ü', 'a"b', 'c\\d', 'e'.repeat(20)]
  const whole = encodeLegacyMessage({ type: 'TASKS', files_to_send: paths }).length
  expect(fitLegacyTasks(paths, whole)).toEqual({ tasks: { type: 'TASKS', files_to_send: paths }, isAll: true })
  expect(fitLegacyTasks(paths, whole - 1)).toEqual({ tasks: { type: 'TASKS', files_to_send: paths.slice(0, 3) }, isAll: false })
  expect(fitLegacyTasks(paths, 10).tasks.files_to_send).toEqual([])
})
