export { fakeTerminal } from './fake-terminal.ts'
export type { FakeTerminal } from './fake-terminal.ts'
