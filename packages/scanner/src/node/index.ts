export { openScanner } from './open-scanner.ts'
export type { ScannerInit } from './open-scanner.ts'
