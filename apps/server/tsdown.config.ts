export { program as default } from '../../tsdown.base.ts'
