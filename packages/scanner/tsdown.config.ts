export { libraryWithWorkers as default } from '../../tsdown.base.ts'
