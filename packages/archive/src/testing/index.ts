export { archiveIndexConformance } from './index-conformance.ts'
export { MemoryIndex } from './memory-index.ts'
