import { testShare } from './share.ts'

testShare(({ name }) => !name.startsWith('the compiled decider'))
