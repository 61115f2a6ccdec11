export { project as default } from '../../vitest.base.ts'
