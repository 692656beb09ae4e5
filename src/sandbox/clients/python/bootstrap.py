# Started as the instance's main program. Everything is in lambda_client, so that its compiled form can be cached:
# the interpreter compiles the main program anew at each start, but an imported module only once.
import lambda_client

lambda_client.main()
