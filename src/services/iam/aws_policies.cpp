#include "services/iam/aws_policies.h"

#include <array>

namespace mayfly::iam {

std::span<const AwsPolicy> aws_policies() {
  static constexpr std::array kPolicies = {
      AwsPolicy{"AdministratorAccess", "/",
                R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})"},
      AwsPolicy{
          "PowerUserAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*")"
          R"(],"Resource":"*"},{"Effect":"Allow","Action":["account:GetAccountInformation","account:GetPrimaryEmail",")"
          R"(account:ListRegions","iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole","iam:ListRoles","organiz)"
          R"(ations:DescribeOrganization"],"Resource":"*"}]})"},
      AwsPolicy{
          "ReadOnlyAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["apigateway:GET","cloudformation:Describ)"
          R"(e*","cloudformation:Get*","cloudformation:List*","cloudwatch:Describe*","cloudwatch:Get*","cloudwatch:Lis)"
          R"(t*","events:Describe*","events:List*","events:Test*","iam:Generate*","iam:Get*","iam:List*","iam:Simulate)"
          R"(*","lambda:Describe*","lambda:Get*","lambda:List*","logs:Describe*","logs:FilterLogEvents","logs:Get*","l)"
          R"(ogs:ListTagsForResource","logs:ListTagsLogGroup","logs:StartQuery","logs:StopQuery","logs:TestMetricFilte)"
          R"(r","pipes:Describe*","pipes:Get*","pipes:List*","s3:Describe*","s3:Get*","s3:List*","scheduler:Describe*")"
          R"(,"scheduler:Get*","scheduler:List*","schemas:Describe*","schemas:Get*","schemas:List*","sns:Describe*","s)"
          R"(ns:Get*","sns:List*","sqs:Get*","sqs:List*","sqs:Receive*","states:Describe*","states:Get*","states:List*)"
          R"(","sts:GetAccessKeyInfo","sts:GetCallerIdentity","sts:GetSessionToken","secretsmanager:Describe*","secret)"
          R"(smanager:GetResourcePolicy","secretsmanager:List*","ssm:Describe*","ssm:Get*","ssm:List*"],"Resource":"*")"
          R"(}]})"},
      AwsPolicy{
          "AWSLambdaBasicExecutionRole", "/service-role/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStr)"
          R"(eam","logs:PutLogEvents"],"Resource":"*"}]})"},
      AwsPolicy{
          "AWSLambdaSQSQueueExecutionRole", "/service-role/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:ReceiveMessage","sqs:DeleteMessage")"
          R"(,"sqs:GetQueueAttributes","logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*)"
          R"("}]})"},
      AwsPolicy{
          "AWSLambdaVPCAccessExecutionRole", "/service-role/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStr)"
          R"(eam","logs:PutLogEvents","ec2:CreateNetworkInterface","ec2:DescribeNetworkInterfaces","ec2:DescribeSubnet)"
          R"(s","ec2:DeleteNetworkInterface","ec2:AssignPrivateIpAddresses","ec2:UnassignPrivateIpAddresses"],"Resourc)"
          R"(e":"*","Sid":"AWSLambdaVPCAccessExecutionPermissions"}]})"},
      AwsPolicy{
          "AWSLambdaDynamoDBExecutionRole", "/service-role/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["dynamodb:DescribeStream","dynamodb:GetR)"
          R"(ecords","dynamodb:GetShardIterator","dynamodb:ListStreams","logs:CreateLogGroup","logs:CreateLogStream",")"
          R"(logs:PutLogEvents"],"Resource":"*"}]})"},
      AwsPolicy{
          "AWSLambdaKinesisExecutionRole", "/service-role/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kinesis:DescribeStream","kinesis:Descri)"
          R"(beStreamSummary","kinesis:GetRecords","kinesis:GetShardIterator","kinesis:ListShards","kinesis:ListStream)"
          R"(s","kinesis:SubscribeToShard","logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource)"
          R"(":"*"}]})"},
      AwsPolicy{
          "AWSLambdaRole", "/service-role/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["lambda:InvokeFunction"],"Resource":"*"})"
          R"(]})"},
      AwsPolicy{
          "AWSLambdaExecute", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:*"],"Resource":"arn:aws:logs:*:*:*)"
          R"("},{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::*"}]})"},
      AwsPolicy{
          "AWSLambda_FullAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["cloudformation:DescribeStacks","cloudfo)"
          R"(rmation:ListStackResources","cloudwatch:ListMetrics","cloudwatch:GetMetricData","ec2:DescribeSecurityGrou)"
          R"(ps","ec2:DescribeSubnets","ec2:DescribeVpcs","kms:ListAliases","iam:GetPolicy","iam:GetPolicyVersion","ia)"
          R"(m:GetRole","iam:GetRolePolicy","iam:ListAttachedRolePolicies","iam:ListRolePolicies","iam:ListRoles","lam)"
          R"(bda:*","logs:DescribeLogGroups","states:DescribeStateMachine","states:ListStateMachines","tag:GetResource)"
          R"(s","xray:GetTraceSummaries","xray:BatchGetTraces"],"Resource":"*"},{"Effect":"Allow","Action":"iam:PassRo)"
          R"(le","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"lambda.amazonaws.com"}}},{"Effect")"
          R"(:"Allow","Action":["logs:DescribeLogStreams","logs:GetLogEvents","logs:FilterLogEvents","logs:StartLiveTa)"
          R"(il","logs:StopLiveTail"],"Resource":"arn:aws:logs:*:*:log-group:/aws/lambda/*"}]})"},
      AwsPolicy{
          "AWSLambda_ReadOnlyAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["cloudformation:DescribeStacks","cloudfo)"
          R"(rmation:ListStacks","cloudformation:ListStackResources","cloudwatch:GetMetricData","cloudwatch:ListMetric)"
          R"(s","ec2:DescribeSecurityGroups","ec2:DescribeSubnets","ec2:DescribeVpcs","kms:ListAliases","iam:GetPolicy)"
          R"(","iam:GetPolicyVersion","iam:GetRole","iam:GetRolePolicy","iam:ListAttachedRolePolicies","iam:ListRolePo)"
          R"(licies","iam:ListRoles","logs:DescribeLogGroups","lambda:Get*","lambda:List*","states:DescribeStateMachin)"
          R"(e","states:ListStateMachines","tag:GetResources","xray:GetTraceSummaries","xray:BatchGetTraces"],"Resourc)"
          R"(e":"*"},{"Effect":"Allow","Action":["logs:DescribeLogStreams","logs:GetLogEvents","logs:FilterLogEvents",)"
          R"("logs:StartLiveTail","logs:StopLiveTail"],"Resource":"arn:aws:logs:*:*:log-group:/aws/lambda/*"}]})"},
      AwsPolicy{
          "AWSXRayDaemonWriteAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["xray:PutTraceSegments","xray:PutTelemet)"
          R"(ryRecords","xray:GetSamplingRules","xray:GetSamplingTargets","xray:GetSamplingStatisticSummaries"],"Resou)"
          R"(rce":"*"}]})"},
      AwsPolicy{
          "CloudWatchLambdaInsightsExecutionRolePolicy", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:CreateLogGroup","Resource":"*"},{"E)"
          R"(ffect":"Allow","Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":"arn:aws:logs:*:*:log-gro)"
          R"(up:/aws/lambda-insights:*"}]})"},
      AwsPolicy{
          "CloudWatchLogsFullAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:*","cloudwatch:GenerateQuery"],"Re)"
          R"(source":"*"}]})"},
      AwsPolicy{"AmazonSQSFullAccess", "/",
                R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:*"],"Resource":"*"}]})"},
      AwsPolicy{
          "AmazonSQSReadOnlyAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:GetQueueAttributes","sqs:GetQueueUr)"
          R"(l","sqs:ListDeadLetterSourceQueues","sqs:ListQueues","sqs:ListMessageMoveTasks","sqs:ListQueueTags"],"Res)"
          R"(ource":"*"}]})"},
      AwsPolicy{"AmazonSNSFullAccess", "/",
                R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sns:*","Resource":"*"}]})"},
      AwsPolicy{
          "AmazonSNSReadOnlyAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sns:GetTopicAttributes","sns:List*","sn)"
          R"(s:CheckIfPhoneNumberIsOptedOut","sns:GetEndpointAttributes","sns:GetDataProtectionPolicy","sns:GetPlatfor)"
          R"(mApplicationAttributes","sns:GetSMSAttributes","sns:GetSMSSandboxAccountStatus","sns:GetSubscriptionAttri)"
          R"(butes"],"Resource":"*"}]})"},
      AwsPolicy{
          "AmazonEventBridgeFullAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["events:*","schemas:*","scheduler:*","pi)"
          R"(pes:*"],"Resource":"*","Sid":"EventBridgeActions"},{"Effect":"Allow","Action":"iam:PassRole","Resource":")"
          R"(arn:aws:iam::*:role/*","Condition":{"StringLike":{"iam:PassedToService":["events.amazonaws.com","schedule)"
          R"(r.amazonaws.com","pipes.amazonaws.com"]}}}]})"},
      AwsPolicy{
          "AmazonEventBridgeSchedulerFullAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"scheduler:*","Resource":"*"},{"Effect":")"
          R"(Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::*:role/*","Condition":{"StringLike":{"iam:PassedT)"
          R"(oService":"scheduler.amazonaws.com"}}}]})"},
      AwsPolicy{
          "AmazonS3FullAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","s3-object-lambda:*"],"Resource":)"
          R"("*"}]})"},
      AwsPolicy{
          "AmazonS3ReadOnlyAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Describe*","s3-)"
          R"(object-lambda:Get*","s3-object-lambda:List*"],"Resource":"*"}]})"},
      AwsPolicy{
          "AmazonDynamoDBFullAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["dynamodb:*","dax:*"],"Resource":"*"}]})"},
      AwsPolicy{
          "SecretsManagerReadWrite", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:*"],"Resource":"*"}]})"},
      AwsPolicy{"AmazonSSMFullAccess", "/",
                R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ssm:*"],"Resource":"*"}]})"},
      AwsPolicy{
          "AmazonSSMReadOnlyAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ssm:Describe*","ssm:Get*","ssm:List*"],)"
          R"("Resource":"*"}]})"},
      AwsPolicy{
          "IAMFullAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","organizations:DescribeAccount",)"
          R"("organizations:DescribeOrganization","organizations:DescribeOrganizationalUnit","organizations:DescribePo)"
          R"(licy","organizations:ListChildren","organizations:ListParents","organizations:ListPoliciesForTarget","org)"
          R"(anizations:ListRoots","organizations:ListPolicies","organizations:ListTargetsForPolicy"],"Resource":"*"}])"
          R"(})"},
      AwsPolicy{
          "IAMReadOnlyAccess", "/",
          R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:GenerateCredentialReport","iam:Gene)"
          R"(rateServiceLastAccessedDetails","iam:Get*","iam:List*","iam:SimulateCustomPolicy","iam:SimulatePrincipalP)"
          R"(olicy"],"Resource":"*"}]})"},
  };
  return kPolicies;
}

}  // namespace mayfly::iam
