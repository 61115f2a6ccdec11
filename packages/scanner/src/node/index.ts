export { openScanner, openScannerThreads } from './open-scanner.ts'
export type { ScannerInit, ScannerThreads } from './open-scanner.ts'
