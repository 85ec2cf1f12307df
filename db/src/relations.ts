import { relations } from 'drizzle-orm';
import { apiKeys } from './schema/api-keys.ts';
import { artifacts } from './schema/artifacts.ts';
import { gpus } from './schema/gpus.ts';
import { jobEvents } from './schema/job-events.ts';
import { jobs } from './schema/jobs.ts';
import { leases } from './schema/leases.ts';
import { payments } from './schema/payments.ts';
import { profiles } from './schema/profiles.ts';
import { providers } from './schema/providers.ts';
import { users } from './schema/users.ts';

// All relations in one file: beside the tables they would tie the schema files into a knot of imports.

export const usersRelations = relations(users, ({ one, many }) => ({
  profile: one(profiles, { fields: [users.id], references: [profiles.userId] }),
  apiKeys: many(apiKeys),
  jobs: many(jobs),
  providers: many(providers),
}));

export const apiKeysRelations = relations(apiKeys, ({ one }) => ({
  user: one(users, { fields: [apiKeys.userId], references: [users.id] }),
}));

export const providersRelations = relations(providers, ({ one, many }) => ({
  owner: one(users, { fields: [providers.ownerId], references: [users.id] }),
  gpus: many(gpus),
  leases: many(leases),
}));

export const gpusRelations = relations(gpus, ({ one }) => ({
  provider: one(providers, { fields: [gpus.providerId], references: [providers.id] }),
}));

export const jobsRelations = relations(jobs, ({ one, many }) => ({
  user: one(users, { fields: [jobs.userId], references: [users.id] }),
  leases: many(leases),
  events: many(jobEvents),
  artifacts: many(artifacts),
  payment: one(payments, { fields: [jobs.id], references: [payments.jobId] }),
}));

export const leasesRelations = relations(leases, ({ one }) => ({
  job: one(jobs, { fields: [leases.jobId], references: [jobs.id] }),
  provider: one(providers, { fields: [leases.providerId], references: [providers.id] }),
}));

export const jobEventsRelations = relations(jobEvents, ({ one }) => ({
  job: one(jobs, { fields: [jobEvents.jobId], references: [jobs.id] }),
}));

export const artifactsRelations = relations(artifacts, ({ one }) => ({
  job: one(jobs, { fields: [artifacts.jobId], references: [jobs.id] }),
}));

export const paymentsRelations = relations(payments, ({ one }) => ({
  job: one(jobs, { fields: [payments.jobId], references: [jobs.id] }),
}));
