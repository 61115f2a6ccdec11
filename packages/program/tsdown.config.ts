export { library as default } from '../../tsdown.base.ts'
