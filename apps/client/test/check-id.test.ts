import { expect, test } from 'vitest'
import { checkId } from '../src/connect/check-id.ts'

test.each([
  [undefined, 'laptop'], ['laptop', 'laptop'], ['Laptop', 'laptop'], ['laptop', 'laptop-2'], ['a/b:c', 'a-b-c'], ['..', 'client'],
])('accepts --id %j for a client in the folder %j', (id, area) => {
  expect(() => { checkId(id, { area, pairedAs: undefined }) }).not.toThrow()
})

test.each([
  ['laptop', 'desktop'], ['laptop', 'laptop-two'], ['laptop', 'laptop-'], ['lap', 'laptop'], ['laptop-2', 'laptop'],
])('refuses --id %j for a client in the folder %j', (id, area) => {
  expect(() => { checkId(id, { area, pairedAs: undefined }) }).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(`paired as "${area}"`) as unknown })
  )
})

test('a client that the operator renamed, or whose files it continues, is not locked out by its own --id', () => {
  expect(() => { checkId('work', { area: 'studio', pairedAs: 'work' }) }).not.toThrow()
  expect(() => { checkId('Work', { area: 'studio', pairedAs: 'work-2' }) }).not.toThrow()
  expect(() => { checkId('other', { area: 'studio', pairedAs: 'work' }) }).toThrow()
})
