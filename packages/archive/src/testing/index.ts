export { MemoryIndex } from './memory-index.ts'
