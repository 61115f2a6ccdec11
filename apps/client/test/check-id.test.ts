import { expect, test } from 'vitest'
import { checkId } from '../src/connect/check-id.ts'

test.each([
  [undefined, 'laptop'], ['laptop', 'laptop'], ['Laptop', 'laptop'], ['laptop', 'laptop-2'], ['a/b:c', 'a-b-c'], ['..', 'client'],
])('%j is what a client in the folder %j was paired as', (id, area) => { expect(() => { checkId(id, area) }).not.toThrow() })

test.each([['laptop', 'desktop'], ['laptop', 'laptop-two'], ['laptop', 'laptop-'], ['lap', 'laptop'], ['laptop-2', 'laptop']])('%j is not what a client in the folder %j was paired as', (id, area) => {
  expect(() => { checkId(id, area) }).toThrow(expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(`paired as "${area}"`) as unknown }))
})
