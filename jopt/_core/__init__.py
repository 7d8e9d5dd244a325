"""The machinery: transforms and schedules as values, chains, trees and numerics."""
