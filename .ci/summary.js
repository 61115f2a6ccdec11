// Usage: summary.js REPORT [FAILED_STEP...]. Prints the sum and fails if anything failed or no report was written.
import { existsSync, readFileSync } from 'node:fs'

const [report, ...broken] = process.argv.slice(2)
const tests = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined
// A file that does not even load, or an error outside of any test, has no failed test of its own.
const hasFailedTest = file => file.assertionResults.some(test => test.status === 'failed')
const crashed = (tests?.testResults ?? []).filter(file => file.status === 'failed' && !hasFailedTest(file)).length
const failedTests = (tests?.numFailedTests ?? 0) + crashed
const failedSteps = broken.filter(step => step !== 'test' || failedTests === 0).length
const failed = failedTests + failedSteps + (tests === undefined && !broken.includes('test') ? 1 : 0)
const skipped = (tests?.numPendingTests ?? 0) + (tests?.numTodoTests ?? 0)
console.log(`${tests?.numPassedTests ?? 0} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = failed > 0 ? 1 : 0
