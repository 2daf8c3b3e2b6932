export type { Admin, AdminAddress, AdminDeps, AdminError, AdminOptions, AdminPart } from './admin.ts'
export { createAdmin } from './admin.ts'
